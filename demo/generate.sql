-- The rows of the payments domain: the same for the same number of transactions, on every machine.
-- psql variable: rows = number of transactions.

select setseed(0.20261121);

create temporary table words as select
    array['Anna','Ben','Chiara','David','Elif','Farid','Greta','Hugo','Ines','Jonas','Kaja','Liam','Mei','Noor','Olga',
          'Pavel','Quentin','Rosa','Søren','Tomás','Uma','Viktor','Wanda','Ximena','Yusuf','Zoë'] as first_names,
    array['Almeida','Bauer','Costa','Dubois','Eriksen','Fischer','García','Horváth','Ivanov','Jansen','Kowalska',
          'López','Müller','Novák','O''Brien','Popescu','Rossi','Schmidt','Şahin','Virtanen','Weber','Žižka'] as last_names,
    array['Amsterdam','Berlin','Kraków','Lisboa','London','Madrid','Milano','Paris','Praha','Wien','Zürich','İstanbul'] as cities,
    array['NL','DE','PL','PT','GB','ES','IT','FR','CZ','AT','CH','TR'] as countries,
    array['EUR','EUR','PLN','EUR','GBP','EUR','EUR','EUR','CZK','EUR','CHF','TRY'] as currencies,
    array['grocery','restaurant','fuel','travel','electronics','fashion','pharmacy','entertainment'] as categories,
    array['Market','Bistro','Station','Air','Tech','Style','Care','Cinema'] as trades;

insert into customers
select i,
    first_names[1 + (random() * 25)::int] || ' ' || last_names[1 + (random() * 21)::int],
    'customer' || i || '@example.com',
    cities[1 + (random() * 11)::int],
    date '2010-01-01' + (random() * 5000)::int,
    jsonb_build_object('score', (random() * 1000)::int, 'segment', (array['mass', 'affluent', 'private'])[1 + (random() * 2)::int])
from generate_series(1, 1000) i, words;

insert into cards (customer_id, pan_token, network, status, credit_limit, valid_thru)
select c.id, md5(c.id || '-' || n || '-' || random())::uuid, (array['Visa', 'Mastercard', 'Amex'])[1 + (random() * 2)::int],
    case when random() < 0.95 then 'active' else 'blocked' end::card_status,
    (1 + (random() * 19)::int) * 500, date '2027-01-31' + (random() * 1400)::int
from customers c, generate_series(1, 1 + c.id % 3) n
order by c.id, n;

insert into merchants
select i, trades[k] || ' ' || last_names[1 + (random() * 21)::int] || ' ' || i, categories[k], cities[c], countries[c]
from words, lateral (
    select i, 1 + i % 8 as k, 1 + (random() * 11)::int as c from generate_series(1, 800) i) as m;

-- Most payments are small, some are large, and fraud is rare.
insert into transactions (id, card_id, merchant_id, amount, currency, category, at, city, status, is_fraud)
select i, 1 + (r1 * (cards - 1))::int, m.id, round((1 + 80 * r2 * r2 / (1.02 - r2))::numeric, 2),
    currencies[array_position(words.countries, m.country::text)], m.category,
    timestamptz '2026-01-01 00:00:00+00' + i * (interval '300 days' / :rows), m.city,
    case when r3 < 0.96 then 'settled' when r3 < 0.99 then 'declined' else 'reversed' end::payment_status,
    r3 > 0.9985
from (
    select i, random() as r1, random() as r2, random() as r3, 1 + (random() * 799)::int as merchant
    from generate_series(1, :rows) i) as t
    join merchants m on m.id = t.merchant,
    words, (select count(*) as cards from cards) as n;

select setval(pg_get_serial_sequence('transactions', 'id'), :rows);
analyze;
