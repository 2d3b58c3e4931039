"""The long soak: a bank under random kills (`make soak MINUTES=n`)."""

import os
import random
import subprocess
import time

from servers import CLIENT_ENVIRONMENT, PG_BIN, Failure

ACCOUNTS = 10_000
OPENING = 1_000
TABLES = ["account", "transfer", "ledger", "statement", "scratch"]

# Money only moves: the sum over all accounts is the same at every commit, and every transfer has two entries in the ledger that
# add up to zero. Ids change their sign (a change of key), accounts are closed and opened again, parts are rolled back, large
# values stay while others in their row change, a table is truncated, and a whole branch moves in one transaction.
SCHEMA = f"""
    create table account (id integer primary key, branch integer not null, balance bigint not null, note text);
    create index on account (abs(id));
    create table transfer (id bigserial primary key, debit integer, credit integer, amount integer, at timestamptz);
    create table ledger (transfer bigint, account integer, amount bigint);
    alter table ledger replica identity full;
    create table statement (account integer primary key, seen integer not null, body text);
    alter table statement alter body set storage external;
    create table scratch (id integer primary key, v text);
    insert into account select i, i % 100, {OPENING} from generate_series(1, {ACCOUNTS}) i;

    create function transfer(a integer, b integer, amount integer) returns void language plpgsql as $$
    declare ids integer[]; t bigint;
    begin
        select array_agg(id) into ids
        from (select id from account where abs(id) in (a, b) order by abs(id) for update) locked;
        if cardinality(ids) <> 2 then return; end if;
        update account set balance = balance - amount where id = ids[1];
        update account set balance = balance + amount where id = ids[2];
        insert into transfer (debit, credit, amount, at) values (ids[1], ids[2], amount, now()) returning id into t;
        insert into ledger values (t, ids[1], -amount), (t, ids[2], amount);
    end $$;

    create function rename(a integer) returns void language sql as $$
        update account set id = -id where abs(id) = a $$;

    create function reopen(a integer, b integer) returns void language plpgsql as $$
    declare old account;
    begin
        perform transfer(a, b, coalesce((select balance from account where abs(id) = a), 0)::integer);
        delete from account where abs(id) = a and balance = 0 returning * into old;
        if found then insert into account (id, branch, balance, note) values (old.id, old.branch, 0, 'opened again'); end if;
    end $$;

    create function tithe(which integer) returns void language plpgsql as $$
    declare taker integer; t bigint; n bigint;
    begin
        perform from account where branch = which order by abs(id) for update;
        select id into taker from account where branch = which order by abs(id) limit 1;
        insert into transfer (debit, credit, amount, at) values (null, taker, null, now()) returning id into t;
        with giver as (
            update account set balance = balance - 1, note = 'gave' where branch = which and id <> taker returning id
        ) insert into ledger select t, id, -1 from giver;
        get diagnostics n = row_count;
        update account set balance = balance + n where id = taker;
        insert into ledger values (t, taker, n);
    end $$;

    create function regret(a integer, b integer) returns void language plpgsql as $$
    begin
        begin
            perform transfer(a, b, 500);
            raise exception 'regret';
        exception when raise_exception then null;
        end;
        perform transfer(b, a, 1);
    end $$;

    create function look_at(a integer) returns void language sql as $$
        insert into statement
        select a, 0, string_agg(md5(a::text || i || clock_timestamp()), '') from generate_series(1, 150) i
        on conflict (account) do update set seen = statement.seen + 1,
            body = case when random() < 0.2 then excluded.body else statement.body end $$;

    create function refill(a integer) returns void language sql as $$
        truncate scratch; insert into scratch select i, 'of ' || a from generate_series(1, 20) i $$;
"""

# Weight, script.
WORK = [
    (60, "select transfer(:a, :b, :amount);"),
    (8, "begin;\nselect transfer(:a, :b, 1);\nselect transfer(:b, :a, 2);\nselect rename(:a);\ncommit;"),
    (6, "select rename(:a);"),
    (6, "select reopen(:a, :b);"),
    (6, "select regret(:a, :b);"),
    (10, "select look_at(:a % 300);"),
    (1, "select tithe(:a % 100);"),
    (1, "select refill(:a);"),
    (2, "begin;\nselect transfer(:a, :b, 3);\nrollback;"),
]


class Bank:
    """One run. `soak` starts and stops the servers and compares tables."""

    def __init__(self, soak, minutes, clients, seed):
        self.soak = soak
        self.seconds = minutes * 60
        self.clients = clients
        self.dice = random.Random(seed)
        self.kills = {"millrace": 0, "source": 0, "target": 0}
        self.looks = self.comparisons = self.columns = 0
        self.load = None

    def run(self, say):
        soak = self.soak
        soak.databases("bank")
        soak.source.sql(SCHEMA, "bank")
        scripts = self.write_scripts()
        self.server = soak.start_millrace()
        soak.replicate(self.server, "bank", **{"log.segment.bytes": "4000000", "log.retention.ms": "10000"})
        soak.catch_up(self.server, "bank")
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < self.seconds:
            self.minute(scripts, min(60, self.seconds - passed))
            say(f"  {(time.monotonic() - begun) / 60:5.1f} min: {self.counts()}")
        self.server.stop()
        if not (self.looks and self.comparisons and all(self.kills.values())):
            raise Failure(f"the run was too short to mean anything: {self.counts()}")

    def counts(self):
        transfers = int(self.soak.source.sql("select count(*) from transfer", "bank"))
        kills = ", ".join(f"{name} {count}" for name, count in self.kills.items())
        return (f"{transfers:,} transfers, kills: {kills}; {self.columns} columns added; sum held at {self.looks} looks; "
                f"{self.comparisons} comparisons of all tables, 0 differences")

    # ---- work ----------------------------------------------------------------------------------------------------------

    def write_scripts(self):
        arguments = []
        for index, (weight, text) in enumerate(WORK):
            path = os.path.join(self.soak.folder, f"work{index}.sql")
            with open(path, "w") as file:
                file.write(f"\\set a random(1, {ACCOUNTS})\n\\set b random(1, {ACCOUNTS})\n\\set amount random(1, 50)\n{text}\n")
            arguments += ["-f", f"{path}@{weight}"]
        return arguments

    def start_load(self, scripts, seconds):
        self.load = subprocess.Popen(
            [PG_BIN + "/pgbench", "-n", "-p", str(self.soak.source.port), "-c", str(self.clients), "-T",
             str(max(1, int(seconds))), "--max-tries=20", *scripts, "bank"],
            env=CLIENT_ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def minute(self, scripts, seconds):
        """Work with one to four kills and a new column in it, then a comparison of everything."""
        moments = sorted(
            [(self.dice.uniform(0.02, 0.98), self.victim()) for _ in range(self.dice.randint(2, 5))]
            + [(self.dice.uniform(0.1, 0.9), "column")])
        begun = time.monotonic()
        self.start_load(scripts, seconds)
        for moment, what in moments:
            while time.monotonic() - begun < moment * seconds:
                self.look()
            self.act(what)
            if self.load.poll() is not None:
                self.start_load(scripts, seconds - (time.monotonic() - begun))
        while self.load.poll() is None:
            self.look()
        self.soak.catch_up(self.server, "bank")
        self.look()
        self.soak.require_equal("bank", TABLES)
        self.comparisons += 1

    def victim(self):
        # The first minute meets each of them.
        fresh = [name for name, count in self.kills.items() if count == 0]
        name = self.dice.choice(fresh or ["millrace", "millrace", "source", "target"])
        self.kills[name] += 1
        return name

    def act(self, what):
        if what == "column":
            self.columns += 1
            self.soak.source.sql(f"alter table account add column extra{self.columns} text default 'none'", "bank")
        elif what == "millrace":
            self.server.crash()
            self.server.start()
        else:
            cluster = getattr(self.soak, what)
            cluster.crash()
            if what == "source":
                # Its clients have died with it.
                self.load.wait()
            cluster.start()

    def look(self):
        """The target, at any moment, is a state that the source committed."""
        found = self.soak.target.sql(
            "select (select sum(balance) from account), (select count(*) from account),"
            " (select coalesce(sum(amount), 0) from ledger),"
            " (select count(*) from transfer t where not exists (select from ledger l where l.transfer = t.id)"
            f"   and t.id > (select max(id) from transfer) - 1000),"
            " (select count(*) in (0, 20) and count(distinct v) <= 1 from scratch)", "bank")
        if found != f"{ACCOUNTS * OPENING}|{ACCOUNTS}|0|0|t":
            raise Failure(f"the target shows what the source never committed: {found}")
        self.looks += 1
        time.sleep(0.2)
