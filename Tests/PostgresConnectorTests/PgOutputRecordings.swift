/// Messages that PostgreSQL 15.18 sent, in hexadecimal, and the SQL that made them.
enum PgOutputRecordings {
    /// Protocol 2, `messages 'true'`:
    ///
    ///     create table t (id int primary key, name varchar(20), big text, n numeric(8,2)); -- big: storage external
    ///     create table "Ü ""q" (a int not null, b text); -- replica identity full
    ///     create type mood as enum ('sad', 'ok'); create table m (id int primary key, m mood);
    ///     insert into t values (1, 'one', null, 1.50), (2, 'zwei', repeat('x', 3000), null);
    ///     update t set name = 'ONE' where id = 1;
    ///     update t set id = 3, n = 7 where id = 2;
    ///     delete from t where id = 3;
    ///     insert into "Ü ""q" values (1, 'ä'); update "Ü ""q" set b = null; delete from "Ü ""q";
    ///     insert into m values (1, 'ok');
    ///     truncate t, m restart identity cascade;
    ///     select pg_logical_emit_message(true, 'pre', 'in'), pg_logical_emit_message(false, 'pre', '\\x00ff'::bytea);
    ///     alter table t rename name to title; alter table t add x int default 5; insert into t (id) values (9);
    ///     insert into m values (5, null); -- in a session with the replication origin "elsewhere"
    static let plain = [
        "42000000001abd0768000303bf90d68bf5000008ca",
        "52000040107075626c69630074006400040169640000000017ffffffff006e616d650000000413000000180062696700"
            + "00000019ffffffff006e00000006a400080006",
        "49000040104e000474000000013174000000036f6e656e7400000004312e3530",
        x3000("49000040104e000474000000013274000000047a7765697400000bb8", "6e"),
        "4300000000001abd0768000000001abd0798000303bf90d68bf5",
        "42000000001abd07f0000303bf90d69b1d000008cb",
        "55000040104e000474000000013174000000034f4e456e7400000004312e3530",
        "4300000000001abd07f0000000001abd0820000303bf90d69b1d",
        "42000000001abd0908000303bf90d69b91000008cc",
        "55000040104b00047400000001326e6e6e4e000474000000013374000000047a776569757400000004372e3030",
        "4300000000001abd0908000000001abd0938000303bf90d69b91",
        "42000000001abd09e8000303bf90d69bc9000008cd",
        "44000040104b00047400000001336e6e6e",
        "4300000000001abd09e8000000001abd0a18000303bf90d69bc9",
        "42000000001abd0a58000303bf90d69c29000008ce",
        "52000040177075626c696300c39c2022710066000201610000000017ffffffff01620000000019ffffffff",
        "49000040174e00027400000001317400000002c3a4",
        "4300000000001abd0a58000000001abd0a88000303bf90d69c29",
        "42000000001abd0ae0000303bf90d69c61000008cf",
        "55000040174f00027400000001317400000002c3a44e00027400000001316e",
        "4300000000001abd0ae0000000001abd0b10000303bf90d69c61",
        "42000000001abd0b50000303bf90d69c7e000008d0",
        "44000040174f00027400000001316e",
        "4300000000001abd0b50000000001abd0b80000303bf90d69c7e",
        "42000000001abd0c60000303bf90d69ceb000008d1",
        "590000401d7075626c6963006d6f6f6400",
        "52000040217075626c6963006d006400020169640000000017ffffffff006d000000401dffffffff",
        "49000040214e000274000000013174000000026f6b",
        "4300000000001abd0c60000000001abd0c90000303bf90d69ceb",
        "42000000001abd1da8000303bf90d69e92000008d2",
        "52000040107075626c69630074006400040169640000000017ffffffff006e616d650000000413000000180062696700"
            + "00000019ffffffff006e00000006a400080006",
        "590000401d7075626c6963006d6f6f6400",
        "52000040217075626c6963006d006400020169640000000017ffffffff006d000000401dffffffff",
        "5400000002030000401000004021",
        "4300000000001abd1da8000000001abd1fb0000303bf90d69e92",
        "4d00000000001abd2038707265000000000200ff",
        "42000000001abd2038000303bf90d6a0f0000008d3",
        "4d01000000001abd1fe87072650000000002696e",
        "4300000000001abd2038000000001abd2068000303bf90d6a0f0",
        "42000000001abd2e38000303bf90d6a2be000008d6",
        "52000040107075626c69630074006400050169640000000017ffffffff007469746c6500000004130000001800626967"
            + "0000000019ffffffff006e00000006a40008000600780000000017ffffffff",
        "49000040104e00057400000001396e6e6e740000000135",
        "4300000000001abd2e38000000001abd2e68000303bf90d6a2be",
        "42000000001abd31b000023e0786c26000000008d8",
        "4f000000000000abcd656c7365776865726500",
        "590000401d7075626c6963006d6f6f6400",
        "52000040217075626c6963006d006400020169640000000017ffffffff006d000000401dffffffff",
        "49000040214e00027400000001356e",
        "4300000000001abd31b0000000001abd31f800023e0786c26000",
    ]

    /// `streaming 'on'`, with rows of a table that is not published in between to make the server stream:
    ///
    ///     begin; insert into t (id, title) values (10, 'top');
    ///     savepoint a; insert into m values (10, 'sad'); rollback to a;
    ///     savepoint b; update t set title = 'b' where id = 10; release b;
    ///     select pg_logical_emit_message(true, 'pre', 'streamed'); commit;
    ///     begin; insert into m values (11); truncate t; rollback;
    static let streamed = [
        "53000008d901",
        "52000008d9000040107075626c69630074006400050169640000000017ffffffff007469746c65000000041300000018"
            + "006269670000000019ffffffff006e00000006a40008000600780000000017ffffffff",
        "49000008d9000040104e0005740000000231307400000003746f706e6e740000000135",
        "45",
        "41000008d9000008da",
        "53000008d900",
        "52000008dc000040107075626c69630074006400050169640000000017ffffffff007469746c65000000041300000018"
            + "006269670000000019ffffffff006e00000006a40008000600780000000017ffffffff",
        "55000008dc000040104e0005740000000231307400000001626e6e740000000135",
        "45",
        "53000008d900",
        "45",
        "53000008d900",
        "4d000008d901000000001ac02410707265000000000873747265616d6564",
        "45",
        "63000008d900000000001ac02410000000001ac02450000303bf90de710c",
        "53000008dd01",
        "45",
        "41000008dd000008dd",
    ]

    /// A message with a text of 3,000 times `x` in the middle.
    private static func x3000(_ start: String, _ end: String) -> String {
        start + String(repeating: "78", count: 3000) + end
    }

    static func bytes(_ hex: String) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = Substring(hex)
        while let byte = UInt8(rest.prefix(2), radix: 16), !rest.isEmpty {
            bytes.append(byte)
            rest = rest.dropFirst(2)
        }
        return bytes
    }
}
