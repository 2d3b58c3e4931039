/// `schema.name.adjustment.mode` and `field.name.adjustment.mode`: names that Avro takes.
package enum NameAdjustment: String, Sendable, CaseIterable {
    case none
    /// What Avro does not allow becomes `_`.
    case avro
    /// What Avro does not allow, and `_` itself, becomes `_uxxxx`.
    case avroUnicode = "avro_unicode"

    /// A full name: parts between dots, each of which is a name.
    package func schemaName(_ name: String) -> String {
        self == .none ? name : adjusted(name, allowsDots: true)
    }

    package func fieldName(_ name: String) -> String {
        self == .none ? name : adjusted(name, allowsDots: false)
    }

    private func adjusted(_ name: String, allowsDots: Bool) -> String {
        var result = ""
        var isFirst = true
        for unit in name.utf16 {
            let isAllowed = NameAdjustment.isLetter(unit) || !isFirst && NameAdjustment.isDigit(unit)
            if unit == 0x2E, allowsDots {
                result += "."
            } else if isAllowed || unit == 0x5F && self == .avro {
                result.unicodeScalars.append(Unicode.Scalar(UInt8(truncatingIfNeeded: unit)))
            } else if self == .avro {
                result += "_"
                // A digit at the front is kept: names that differ only there stay different.
                if isFirst, NameAdjustment.isDigit(unit) { result += String(unit - 0x30) }
            } else {
                let digits = String(unit, radix: 16)
                result += "_u" + String(repeating: "0", count: 4 - digits.count) + digits
            }
            isFirst = false
        }
        return result
    }

    private static func isLetter(_ unit: UInt16) -> Bool {
        (0x41...0x5A).contains(unit) || (0x61...0x7A).contains(unit)
    }

    private static func isDigit(_ unit: UInt16) -> Bool { (0x30...0x39).contains(unit) }
}
