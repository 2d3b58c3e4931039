package import MillraceCore

/// Adds to pgoutput's Relation messages what only the catalog knows: names of types, keys, defaults, the definitions of
/// types. Has a connection of its own, opened when first needed. Used by one thread.
package final class RelationDescriber {
    private let options: SourceOptions
    private let didConnect: (PostgresConnection) -> Void
    private var connection: PostgresConnection?

    package init(_ options: SourceOptions, didConnect: @escaping (PostgresConnection) -> Void = { _ in }) {
        self.options = options
        self.didConnect = didConnect
    }

    /// The relation that `message` is about, as it was then: the catalog may be ahead by any DDL, the table may even be
    /// gone. `previous`: what was known of it before.
    package func describe(
        _ message: PgOutputRelation, previous: CapturedRelation?
    ) throws(ConnectorError) -> CapturedRelation {
        let catalog = try read(message)
        return RelationBuilder(options: options, catalog: catalog).relation(message, previous: previous)
    }

    /// A connection that was idle for long may have been cut: one new attempt.
    private func read(_ message: PgOutputRelation) throws(ConnectorError) -> Catalog {
        do throws(PostgresError) {
            if connection != nil {
                do throws(PostgresError) {
                    return try readOnce(message)
                } catch {
                    guard connection?.isBroken == true else { throw error }
                    connection = nil
                }
            }
            return try readOnce(message)
        } catch {
            connection = nil
            throw error.connectorError
        }
    }

    private func readOnce(_ message: PgOutputRelation) throws(PostgresError) -> Catalog {
        let connection: PostgresConnection
        if let open = self.connection {
            connection = open
        } else {
            connection = try options.connect()
            didConnect(connection)
            try Catalog.prepare(connection)
            self.connection = connection
        }
        return try Catalog.read(
            connection, tables: [message.oid], messageColumns: message.columns, isPrepared: true)
    }
}
