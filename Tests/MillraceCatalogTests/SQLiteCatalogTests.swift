import Foundation
import GRDB
import MillraceCore
import Testing

@testable import MillraceCatalog

@Suite struct SQLiteCatalogTests {
    @Test func connectorsComeBackInOrderOfCreationAfterReopening() throws {
        try withCatalogFile { path in
            let catalog = try SQLiteCatalog(path: path)
            try catalog.insert(
                StoredConnector(name: "z", config: ["a": "1", "b": "\"\u{1F600}\""], targetState: "RUNNING"))
            try catalog.insert(StoredConnector(name: "a", config: [:], targetState: "PAUSED"))
            try catalog.setTargetState("STOPPED", of: "z")
            try catalog.setConfig(["a": "2"], of: "z")
            catalog.close()

            let again = try SQLiteCatalog(path: path)
            #expect(
                try again.connectors() == [
                    StoredConnector(name: "z", config: ["a": "2"], targetState: "STOPPED"),
                    StoredConnector(name: "a", config: [:], targetState: "PAUSED"),
                ])
        }
    }

    @Test func aNameCannotBeTakenTwice() throws {
        try withCatalogFile { path in
            let catalog = try SQLiteCatalog(path: path)
            try catalog.insert(StoredConnector(name: "x", config: [:], targetState: "RUNNING"))
            #expect(throws: ConnectorError.self) {
                try catalog.insert(StoredConnector(name: "x", config: [:], targetState: "RUNNING"))
            }
            #expect(throws: ConnectorError.self) { try catalog.setTargetState("SLEEPING", of: "x") }
        }
    }

    @Test func deletionForgetsCursorsTopicsAndOffsets() throws {
        try withCatalogFile { path in
            let catalog = try SQLiteCatalog(path: path)
            for name in ["source", "sink", "other"] {
                try catalog.insert(StoredConnector(name: name, config: [:], targetState: "RUNNING"))
            }
            let cursor = Cursor(logID: .max, offset: 1 << 60, commitLSN: LSN(.max), ordinal: 7)
            try catalog.setCursor(cursor, sink: "sink", source: "source")
            try catalog.setCursor(cursor, sink: "other", source: "source")
            try catalog.addTopics(["p.s.t"], of: "source")
            try catalog.setSourceOffset("{}", partition: "{}", of: "source")
            #expect(try catalog.cursors(onSource: "source") == ["sink": cursor, "other": cursor])

            try catalog.setCursor(nil, sink: "other", source: "source")
            #expect(try catalog.cursors(onSource: "source") == ["sink": cursor])
            try catalog.beginDeletion(of: "source")
            #expect(try catalog.connectors().first?.isDeleted == true)
            try catalog.finishDeletion(of: "source")
            #expect(try catalog.cursors(onSource: "source").isEmpty)
            #expect(try catalog.topics(of: "source").isEmpty)
            #expect(try catalog.sourceOffsets(of: "source").isEmpty)
            #expect(try catalog.connectors().map(\.name) == ["sink", "other"])
        }
    }

    @Test func aCursorCannotNameAConnectorThatIsNotThere() throws {
        try withCatalogFile { path in
            let catalog = try SQLiteCatalog(path: path)
            let cursor = Cursor(logID: 1, offset: 1, commitLSN: .zero, ordinal: 0)
            #expect(throws: ConnectorError.self) { try catalog.setCursor(cursor, sink: "a", source: "b") }
        }
    }

    @Test func topicsAndOffsetsAreSetsThatCanBeEmptied() throws {
        try withCatalogFile { path in
            let catalog = try SQLiteCatalog(path: path)
            try catalog.insert(StoredConnector(name: "x", config: [:], targetState: "RUNNING"))
            try catalog.addTopics(["b", "a"], of: "x")
            try catalog.addTopics(["a", "c"], of: "x")
            #expect(try catalog.topics(of: "x") == ["a", "b", "c"])
            try catalog.removeTopics(of: "x")
            #expect(try catalog.topics(of: "x").isEmpty)
            try catalog.setSourceOffset("1", partition: "p", of: "x")
            try catalog.setSourceOffset("2", partition: "p", of: "x")
            #expect(try catalog.sourceOffsets(of: "x") == [StoredOffset(partition: "p", offset: "2")])
            try catalog.setSourceOffset(nil, partition: "p", of: "x")
            #expect(try catalog.sourceOffsets(of: "x").isEmpty)
        }
    }

    @Test func onlyTheOwnerCanReadTheFiles() throws {
        try withCatalogFile { path in
            let catalog = try SQLiteCatalog(path: path)
            try catalog.insert(StoredConnector(name: "x", config: [:], targetState: "RUNNING"))
            for name in [path, path + "-wal", path + "-shm"] {
                let mode = try FileManager.default.attributesOfItem(atPath: name)[.posixPermissions] as? Int
                #expect(mode == 0o600, "\(name)")
            }
            _ = catalog
        }
    }

    @Test func commitsAreSynchronousAndJournalled() throws {
        try withCatalogFile { path in
            let catalog = try SQLiteCatalog(path: path)
            #expect(try catalog.pragma("synchronous") == "2")
            #expect(try catalog.pragma("journal_mode") == "wal")
            #expect(try catalog.pragma("foreign_keys") == "1")
        }
    }

    @Test func aFileThatIsNoCatalogIsRefused() throws {
        try withCatalogFile { path in
            try Data(repeating: 0x41, count: 8192).write(to: URL(fileURLWithPath: path))
            let error = #expect(throws: ConnectorError.self) { _ = try SQLiteCatalog(path: path) }
            #expect(error?.code == "catalog_damaged")
            #expect(error?.kind == .consistency)
        }
    }

    @Test func aCatalogOfANewerVersionIsRefused() throws {
        try withCatalogFile { path in
            try SQLiteCatalog(path: path).close()
            let file = try DatabaseQueue(path: path)
            try file.write { try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('catalog_9999')") }
            try file.close()
            let error = #expect(throws: ConnectorError.self) { _ = try SQLiteCatalog(path: path) }
            #expect(error?.code == "catalog_newer")
        }
    }

    @Test func aDirectoryThatIsNotThereIsNamed() throws {
        let error = #expect(throws: ConnectorError.self) { _ = try SQLiteCatalog(path: "/nowhere/at/all.sqlite") }
        #expect(error?.message.contains("/nowhere/at/all.sqlite") == true)
    }

    @Test func aDamagedCursorIsNotTakenForNone() throws {
        try withCatalogFile { path in
            let catalog = try SQLiteCatalog(path: path)
            try catalog.insert(StoredConnector(name: "x", config: [:], targetState: "RUNNING"))
            let file = try DatabaseQueue(path: path)
            try file.write { try $0.execute(sql: "INSERT INTO sink_cursor VALUES ('x', 'x', 'rubbish')") }
            let error = #expect(throws: ConnectorError.self) { _ = try catalog.cursors(onSource: "x") }
            #expect(error?.code == "catalog_damaged")
        }
    }
}

private func withCatalogFile(_ body: (String) throws -> Void) throws {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("catalog-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    try body(directory.appendingPathComponent("catalog.sqlite").path)
}
