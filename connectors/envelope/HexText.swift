enum HexText {
    static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x41...0x46: digit - 0x41 + 10
        case 0x61...0x66: digit - 0x61 + 10
        default: nil
        }
    }

    /// Appends the bytes that pairs of digits stand for; false where the text is something else.
    static func decode(_ text: UnsafeRawBufferPointer, into out: JSONBuffer) -> Bool {
        guard text.count % 2 == 0 else { return false }
        let target = out.reserve(text.count / 2)
        var index = 0
        while index < text.count {
            guard let high = value(text[index]), let low = value(text[index &+ 1]) else { return false }
            target.storeBytes(of: high << 4 | low, toByteOffset: index / 2, as: UInt8.self)
            index &+= 2
        }
        out.advance(by: text.count / 2)
        return true
    }
}
