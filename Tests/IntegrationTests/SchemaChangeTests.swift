import MillraceTesting
import Testing

/// DDL in the source while it is replicated.
@Suite(.serialized)
struct SchemaChangeTests {
    @Test
    func addedDroppedRenamedAndWidenedColumnsFollow() throws {
        let shop = try Replication(
            """
            create table people (id int primary key, name varchar(10), age smallint, gone text, score int);
            insert into people select i, 'n' || i, i, 'g', i from generate_series(1, 50) i;
            """)
        try shop.start()
        try shop.waitUntilCaughtUp()
        try shop.execute(
            """
            alter table people add column email text;
            insert into people (id, name, email) values (51, 'x', 'x@y');
            alter table people drop column gone;
            insert into people (id, name) values (52, 'after drop');
            alter table people rename column name to full_name;
            update people set full_name = 'renamed' where id = 3;
            alter table people alter column full_name type varchar(100);
            update people set full_name = repeat('long', 20) where id = 4;
            begin; alter table people add column a int, add column b int; insert into people (id, a, b) values (53, 1, 2);
            alter table people drop column a; insert into people (id, b) values (54, 3); commit;
            """)
        try shop.requireEqual("people")
    }

    @Test
    func columnAddedWithAConstantDefaultIsFilledInTheTarget() throws {
        let shop = try Replication(
            "create table t (id int primary key); insert into t select generate_series(1, 100)")
        try shop.start()
        try shop.waitUntilCaughtUp()
        try shop.execute(
            """
            alter table t add column kind text not null default 'old', add column n numeric default 1.50;
            insert into t values (101, 'new', null);
            insert into t values (102);
            update t set n = 7 where id = 5;
            """)
        try shop.requireEqual("t")
    }

    @Test
    func tableCreatedWhileStreamingIsReplicated() throws {
        let shop = try Replication("create table t (id int primary key)")
        try shop.start()
        try shop.waitUntilCaughtUp()
        try shop.execute(
            """
            create schema late;
            create type late.kind as enum ('a', 'b');
            create table late.orders (id int primary key, k late.kind);
            insert into late.orders values (1, 'a'), (2, 'b');
            """)
        try shop.requireEqual("late.orders")
        // The source does not describe the table again for this: the row is the first to tell.
        try shop.execute("alter type late.kind add value 'c''\"x'; insert into late.orders values (3, 'c''\"x')")
        try shop.requireEqual("late.orders")
    }

    @Test
    func schemaChangesBetweenTwoKillsFollow() throws {
        let shop = try Replication("create table t (id int primary key, a text); insert into t values (1, 'a')")
        try shop.start()
        try shop.waitUntilCaughtUp()
        for round in 2...4 {
            try shop.execute(
                """
                alter table t add column c\(round) int default \(round);
                insert into t (id, c\(round)) values (\(round), \(round) * 10);
                """)
            try shop.millrace.crashAndRestart()
            try shop.execute("insert into t (id) values (\(round) * 100); update t set a = '\(round)' where id = 1")
        }
        try shop.requireEqual("t")
    }
}
