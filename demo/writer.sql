-- The live writer: many small transactions until demo.stop_writer has a row. Seeded, so that the same work is done in the
-- same order; how far it gets depends on the machine.

create or replace procedure demo.write_payments(seed double precision) language plpgsql as $$
declare
    beat bigint := coalesce((select max(id) from heartbeat), 0);
    next_beat timestamptz := clock_timestamp();
    cards int := (select count(*) from cards);
    card int;
    first_id bigint;
begin
    perform setseed(seed);
    loop
        -- Ten authorizations, two of them on cards that are charged at once.
        insert into transactions (card_id, merchant_id, amount, currency, category, at, city, status, is_fraud)
        select 1 + (random() * (cards - 1))::int, m.id, round((random() * 200)::numeric + 0.01, 2), 'EUR', m.category,
            clock_timestamp(), m.city, 'authorized', false
        from generate_series(1, 10) i join merchants m on m.id = 1 + (i * 79 + (random() * 9)::int) % 800;
        card := 1 + (random() * (cards - 1))::int;
        update cards set balance = balance + 10 where id in (card, 1);
        -- Older ones are settled; a few turn out to be fraud, and some are taken back altogether.
        select last_value into first_id from transactions_id_seq;
        update transactions set status = 'settled', is_fraud = random() < 0.01
        where id between first_id - 1000 and first_id - 990;
        delete from transactions where id = first_id - 5000;
        if clock_timestamp() >= next_beat then
            beat := beat + 1;
            insert into heartbeat values (beat, clock_timestamp());
            next_beat := clock_timestamp() + interval '100 milliseconds';
        end if;
        commit;
        exit when exists (select from demo.stop_writer);
        perform pg_sleep(0.001);
    end loop;
end $$;
