package import MillraceCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Why the change log could not do what it was asked to.
package enum LogError: Error, Hashable, Sendable {
    /// The system refused. The log object is dead where this came from a write or an fsync.
    case io(operation: String, path: String, errno: Int32)
    /// Bytes that were once written whole are not any more. `offset`: position in the file.
    case corrupt(path: String, offset: UInt64, reason: String)
    /// The disk or the quota is full. Nothing was taken; the same call may be tried again.
    case noSpace(path: String)
    /// An earlier write or fsync failed: nobody knows what is on disk. Only opening the log anew helps.
    case failed(reason: String)
    /// A cursor that this log cannot start from.
    case cursor(reason: String)
    /// The log was discarded and begun anew under another id while it was being read.
    case discarded
    /// A call that the caller should not have made.
    case misuse(reason: String)
}

extension LogError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .io(let operation, let path, let errno):
            "\(operation) \(path): \(String(cString: strerror(errno)))"
        case .corrupt(let path, let offset, let reason):
            "\(path) is damaged at byte \(offset): \(reason); nothing was changed. Run `millrace log verify` on its "
                + "directory, restore the file from a copy, or discard the log and load anew"
        case .noSpace(let path):
            "no space left for \(path): free space or raise the quota; nothing was lost, the write is tried again"
        case .failed(let reason):
            "the change log cannot be written any more after an error (\(reason)): open it again"
        case .cursor(let reason):
            "cannot read from the stored position: \(reason)"
        case .discarded:
            "the change log was discarded and begun anew: start from its beginning"
        case .misuse(let reason):
            "the change log was used wrongly: \(reason)"
        }
    }
}

extension LogError {
    /// The same in the words of the connector contract.
    package var connectorError: ConnectorError {
        switch self {
        case .io(_, _, let errno):
            ConnectorError(.transient, code: "log_io", description, foreignCode: String(errno))
        case .corrupt:
            ConnectorError(
                .consistency, code: "log_corrupt", description,
                hint: "run `millrace log verify <directory>`; restore the file, or delete the log and load anew")
        case .noSpace:
            ConnectorError(
                .transient, code: "log_disk_full", description,
                hint: "free disk space, or lower log.retention.bytes; nothing was acknowledged that is not stored")
        case .failed:
            ConnectorError(.transient, code: "log_failed", description)
        case .cursor:
            ConnectorError(
                .consistency, code: "log_position_gone", description,
                hint: "reset the sink's offsets (DELETE /connectors/<name>/offsets) to start from the beginning")
        case .discarded:
            ConnectorError(.transient, code: "log_discarded", description)
        case .misuse:
            ConnectorError(.bug, code: "log_misuse", description)
        }
    }
}
