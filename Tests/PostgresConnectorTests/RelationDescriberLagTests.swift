import MillraceCore
import MillraceTesting
import Testing

@testable import PostgresConnector

/// The stream describes tables as they were; the catalog is ahead.
@Suite struct RelationDescriberLagTests {
    /// The message before `change`, described after it. `first`: described before, as what was known.
    static func lag(
        _ table: String, _ change: String, knownBefore: Bool = false
    ) throws -> (before: Relation, after: Relation) {
        let database = try TestDatabase(table)
        let message = try database.message("t")
        let before = try database.describe(message)
        try database.execute(change)
        return (before.relation, try database.describe(message, previous: knownBefore ? before : nil).relation)
    }

    @Test func aColumnAddedLaterIsNotThereYet() throws {
        let (before, after) = try Self.lag("CREATE TABLE t (id int PRIMARY KEY, a text)", "ALTER TABLE t ADD b int")
        #expect(after.version == before.version)
    }

    @Test func aColumnDroppedLaterKeepsItsNumber() throws {
        let (before, after) = try Self.lag(
            "CREATE TABLE t (id int PRIMARY KEY, a text, b varchar(7), c int)", "ALTER TABLE t DROP b")
        #expect(after.columns.map(\.attributeNumber) == [1, 2, 3, 4])
        #expect(after.columns.map(\.typeName) == before.columns.map(\.typeName))
        #expect(after.version == before.version)
    }

    @Test func aColumnRenamedLaterIsFoundByItsPlace() throws {
        let (before, after) = try Self.lag(
            "CREATE TABLE t (id int PRIMARY KEY, a text DEFAULT 'x', b int)",
            "ALTER TABLE t RENAME a TO z; ALTER TABLE t ADD a int")
        #expect(after.columns.map(\.name) == ["id", "a", "b"])
        #expect(after.columns.map(\.attributeNumber) == [1, 2, 3])
        #expect(after.version == before.version)
    }

    @Test func aRenamedColumnWhoseNameWasTakenAgainIsKnownFromBefore() throws {
        let (before, after) = try Self.lag(
            "CREATE TABLE t (id int PRIMARY KEY, a text)", "ALTER TABLE t RENAME a TO z; ALTER TABLE t ADD a text",
            knownBefore: true)
        #expect(after.version == before.version)
    }

    @Test func columnsThatSwapTheirNamesLaterStayWhereTheyWere() throws {
        let (before, after) = try Self.lag(
            "CREATE TABLE t (id int PRIMARY KEY, a text, b text)",
            "ALTER TABLE t RENAME a TO x; ALTER TABLE t RENAME b TO a; ALTER TABLE t RENAME x TO b")
        #expect(after.version == before.version)
    }

    @Test func aRenameBeforeTheMessageGivesTheOldNameToTheNewColumn() throws {
        let database = try TestDatabase("CREATE TABLE t (id int PRIMARY KEY, a text)")
        let before = try database.describe(database.message("t"))
        try database.execute("ALTER TABLE t RENAME a TO z; ALTER TABLE t ADD a text")
        let after = try database.describe(database.message("t"), previous: before)
        #expect(after.relation.columns.map(\.name) == ["id", "z", "a"])
        #expect(after.relation.columns.map(\.attributeNumber) == [1, 2, 3])
    }

    @Test func aColumnDroppedAndAddedAgainIsAnotherOne() throws {
        let database = try TestDatabase("CREATE TABLE t (id int PRIMARY KEY, a text)")
        let before = try database.describe(database.message("t"))
        try database.execute("ALTER TABLE t DROP a; ALTER TABLE t ADD a text")
        let after = try database.describe(database.message("t"), previous: before)
        #expect(after.relation.columns.map(\.attributeNumber) == [1, 3])
    }

    @Test func aColumnRetypedLaterHasItsOldType() throws {
        let (before, after) = try Self.lag(
            "CREATE TABLE t (id int PRIMARY KEY, a numeric(5,1) DEFAULT 1)", "ALTER TABLE t ALTER a TYPE text")
        #expect(after.columns.map(\.typeName) == ["integer", "numeric(5,1)"])
        #expect(after.columns[1].attributeNumber == 2)
        #expect(after.columns[1].defaultExpression == nil)
        #expect(before.columns[1].defaultExpression == "1")
    }

    @Test func aTableDroppedLaterIsDescribedFromTheMessage() throws {
        let sql = "CREATE TABLE t (b text, id int, a varchar(3) NOT NULL, PRIMARY KEY (id, b))"
        let unknown = try Self.lag(sql, "DROP TABLE t").after
        #expect(unknown.columns.map(\.typeName) == ["text", "integer", "character varying(3)"])
        #expect(unknown.primaryKey == [0, 1])
        #expect(unknown.columns.map(\.attributeNumber) == [0, 0, 0])
        let (before, after) = try Self.lag(sql, "DROP TABLE t", knownBefore: true)
        #expect(after.version == before.version)
    }

    @Test func aTypeDroppedLaterIsKnownFromBeforeOrText() throws {
        let sql = "CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE t (id int PRIMARY KEY, m mood)"
        let change = "DROP TABLE t; DROP TYPE mood"
        let (before, after) = try Self.lag(sql, change, knownBefore: true)
        #expect(after.version == before.version)
        #expect(after.types.map(\.name) == ["mood"])
        #expect(try Self.lag(sql, change).after.columns[1].typeName == "text")
    }

    @Test func aTableRenamedLaterHasItsOldName() throws {
        let (before, after) = try Self.lag(
            "CREATE SCHEMA s; CREATE TABLE t (id int PRIMARY KEY)",
            "ALTER TABLE t RENAME TO u; ALTER TABLE u SET SCHEMA s")
        #expect(after.version == before.version)
        #expect(after.qualifiedName == "public.t")
    }

    @Test func aKeyChangedLaterIsTheOldOne() throws {
        let sql = "CREATE TABLE t (a int, b int, c int NOT NULL, PRIMARY KEY (b, a))"
        let (before, after) = try Self.lag(
            sql, "ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ADD PRIMARY KEY (c)", knownBefore: true)
        #expect(after.primaryKey == before.primaryKey)
        #expect(before.primaryKey == [1, 0])
        #expect(try Self.lag(sql, "ALTER TABLE t DROP CONSTRAINT t_pkey").after.primaryKey == [0, 1])
    }

    @Test func aKeyAddedLaterIsNotThereYet() throws {
        let (before, after) = try Self.lag("CREATE TABLE t (a int, b int)", "ALTER TABLE t ADD k int PRIMARY KEY")
        #expect(after.primaryKey == [])
        #expect(after.version == before.version)
    }

    @Test func sixteenHundredColumnsAreAlignedInNoTime() throws {
        let columns = (0..<1599).map { "c\($0) int" }.joined(separator: ", ")
        let database = try TestDatabase("CREATE TABLE t (\(columns))")
        let message = try database.message("t")
        try database.execute("ALTER TABLE t RENAME c800 TO x; ALTER TABLE t DROP c10")
        let clock = ContinuousClock()
        let started = clock.now
        let relation = try database.describe(message).relation
        #expect(relation.columns.map(\.attributeNumber) == (1...1599).map { Int16($0) })
        #expect(clock.now - started < .seconds(10))
    }
}
