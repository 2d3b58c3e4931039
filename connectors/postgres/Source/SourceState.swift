internal import FoundationEssentials
package import MillraceCore

/// What the source remembers of itself: a JSON text in an `S` record, and so atomic with the log that it describes.
package struct SourceState: Hashable, Sendable {
    package enum Phase: String, Hashable, Sendable, Codable {
        /// The full load has begun. Found after a restart: it did not finish, and begins again with an empty log.
        case snapshot
        case streaming
        /// `snapshot.mode=initial_only`, done.
        case finished
    }

    /// Identifies the cluster (`IDENTIFY_SYSTEM`): a restored copy has the same, a new `initdb` or an upgrade another.
    package var systemIdentifier: String
    /// Grows with every promotion.
    package var timeline: UInt32
    package var database: String
    package var slotName: String
    package var publicationName: String
    /// Whether we made the slot, and so may drop it.
    package var slotIsOurs: Bool
    package var phase: Phase
    /// LSN with which the full load is consistent, or from which streaming began; zero while it is not known.
    package var startLSN: LSN
    /// WAL up to here held nothing for us, although no transaction in the log says so. Stored before it is reported as
    /// flushed, so that a slot that is further than we are can be told from one that somebody else has moved.
    package var confirmedLSN: LSN
    /// Why the copies of tables are no longer equal to them, by relation id.
    package var stale: [UInt32: String]

    package init(
        systemIdentifier: String, timeline: UInt32, database: String, slotName: String, publicationName: String,
        slotIsOurs: Bool, phase: Phase, startLSN: LSN = .zero, confirmedLSN: LSN = .zero, stale: [UInt32: String] = [:]
    ) {
        self.systemIdentifier = systemIdentifier
        self.timeline = timeline
        self.database = database
        self.slotName = slotName
        self.publicationName = publicationName
        self.slotIsOurs = slotIsOurs
        self.phase = phase
        self.startLSN = startLSN
        self.confirmedLSN = confirmedLSN
        self.stale = stale
    }
}

extension SourceState {
    /// Version of the JSON, raised when an older Millrace would misread it.
    private static let version = 1

    private struct Document: Codable {
        var version: Int
        var systemIdentifier: String
        var timeline: UInt32
        var database: String
        var slot: String
        var publication: String
        var slotIsOurs: Bool
        var phase: Phase
        var startLSN: String
        var confirmedLSN: String
        /// Missing for none. Versions that do not know it lose the marks, and nothing else.
        var stale: [String: String]?
    }

    /// The bytes of the `S` record.
    package func encoded() -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let document = Document(
            version: Self.version, systemIdentifier: systemIdentifier, timeline: timeline, database: database,
            slot: slotName, publication: publicationName, slotIsOurs: slotIsOurs, phase: phase,
            startLSN: startLSN.description, confirmedLSN: confirmedLSN.description,
            stale: stale.isEmpty ? nil : Dictionary(uniqueKeysWithValues: stale.map { (String($0), $1) }))
        // Strings, numbers and booleans only: there is nothing that JSON could refuse.
        return (try? encoder.encode(document)).map(Array.init) ?? []
    }

    /// Nil for no bytes. Throws `state_unreadable` for bytes that are no state of ours.
    package static func decode(_ bytes: [UInt8]) throws(ConnectorError) -> SourceState? {
        guard !bytes.isEmpty else { return nil }
        guard let document = try? JSONDecoder().decode(Document.self, from: Data(bytes)),
            document.version == version, let startLSN = LSN(document.startLSN),
            let confirmedLSN = LSN(document.confirmedLSN)
        else {
            throw ConnectorError(
                .consistency, code: "state_unreadable",
                "the change log holds a state of its source that this version cannot read",
                hint: "run the version of Millrace that wrote it, or delete the connector's offsets "
                    + "(DELETE /connectors/{name}/offsets, while it is stopped) to load everything again")
        }
        let stale = (document.stale ?? [:]).compactMap { id, reason in UInt32(id).map { ($0, reason) } }
        return SourceState(
            systemIdentifier: document.systemIdentifier, timeline: document.timeline, database: document.database,
            slotName: document.slot, publicationName: document.publication, slotIsOurs: document.slotIsOurs,
            phase: document.phase, startLSN: startLSN, confirmedLSN: confirmedLSN,
            stale: Dictionary(stale) { first, _ in first })
    }
}
