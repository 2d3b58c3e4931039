internal import CLibCrypto
import MillraceCore

/// The hash in place of a value (`column.mask.hash.…`), as Debezium makes it: the salt, then the value, as lower-case
/// hexadecimal digits.
final class ValueHash {
    private let digest: OpaquePointer
    private let salt: [UInt8]
    private let version: MaskingRule.HashVersion
    private let message = JSONBuffer()

    /// `algorithm`: a name of Java's MessageDigest. Nil for one that there is not.
    init?(_ algorithm: String, salt: String, _ version: MaskingRule.HashVersion) {
        let name = algorithm.uppercased() == "SHA" ? "SHA-1" : algorithm
        guard let digest = EVP_MD_fetch(nil, name, nil) else { return nil }
        self.digest = digest
        self.salt = Array(salt.utf8)
        self.version = version
    }

    deinit {
        EVP_MD_free(digest)
    }

    /// Appends at most `limit` digits.
    func append(_ value: UnsafeRawBufferPointer, limit: Int, to out: JSONBuffer) {
        message.removeAll()
        salt.withUnsafeBytes { message.append($0) }
        if version == .v1 { appendStringHeader(value.count) }
        message.append(value)
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Int(EVP_MAX_MD_SIZE)) { hash in
            var count: UInt32 = 0
            let bytes = message.bytes
            guard EVP_Digest(bytes.baseAddress, bytes.count, hash.baseAddress, &count, digest, nil) == 1 else {
                // Out of memory is all that is left: no value rather than the one that was to be hidden.
                return
            }
            let digits: StaticString = "0123456789abcdef"
            for index in 0..<min(Int(count) * 2, limit) {
                let byte = hash[index / 2]
                out.append(byte: digits.utf8Start[Int(index % 2 == 0 ? byte >> 4 : byte & 15)])
            }
        }
    }

    /// Java Object Serialization Stream Protocol: magic, version, `TC_STRING` or `TC_LONGSTRING` with the length.
    private func appendStringHeader(_ count: Int) {
        for byte in [0xAC, 0xED, 0x00, 0x05] as [UInt8] { message.append(byte: byte) }
        let isLong = count > 0xFFFF
        message.append(byte: isLong ? 0x7C : 0x74)
        for shift in stride(from: isLong ? 56 : 8, through: 0, by: -8) {
            message.append(byte: UInt8(truncatingIfNeeded: count >> shift))
        }
    }
}
