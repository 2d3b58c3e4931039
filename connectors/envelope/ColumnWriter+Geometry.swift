extension ColumnWriter {
    /// `(1,2)`: coordinates, and the same as well-known binary (little-endian, type 1).
    func point(_ text: UnsafeRawBufferPointer, _ out: JSONBuffer) throws(EncodingFailure) {
        guard text.count >= 5, text[0] == 0x28, text[text.count - 1] == 0x29,
            let comma = text.firstIndex(of: 0x2C)
        else { throw .malformed }
        let x = UnsafeRawBufferPointer(rebasing: text[1..<comma])
        let y = UnsafeRawBufferPointer(rebasing: text[(comma + 1)..<(text.count - 1)])
        guard let xValue = FloatText.nearestDouble(x), let yValue = FloatText.nearestDouble(y) else { throw .malformed }
        out.append("{\"x\":")
        guard FloatText.write(x, isSingle: false, into: out) else { throw .malformed }
        out.append(",\"y\":")
        guard FloatText.write(y, isSingle: false, into: out) else { throw .malformed }
        out.append(",\"wkb\":")
        withUnsafeTemporaryAllocation(byteCount: 21, alignment: 1) { wkb in
            wkb.storeBytes(of: 1, as: UInt8.self)
            wkb.storeBytes(of: UInt32(1).littleEndian, toByteOffset: 1, as: UInt32.self)
            wkb.storeBytes(of: xValue.bitPattern.littleEndian, toByteOffset: 5, as: UInt64.self)
            wkb.storeBytes(of: yValue.bitPattern.littleEndian, toByteOffset: 13, as: UInt64.self)
            out.append(base64: UnsafeRawBufferPointer(wkb))
        }
        out.append(",\"srid\":null}")
    }

    /// PostGIS: EWKB in hexadecimal. The SRID is in it where bit 29 of its type says so.
    func geometry(_ text: UnsafeRawBufferPointer, _ out: JSONBuffer) throws(EncodingFailure) {
        let scratch = JSONBuffer(capacity: text.count / 2)
        guard HexText.decode(text, into: scratch), scratch.count >= 5 else { throw .malformed }
        let bytes = scratch.bytes
        let isLittle = bytes[0] == 1
        func word(_ offset: Int) -> UInt32 {
            let raw = bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
            return isLittle ? UInt32(littleEndian: raw) : UInt32(bigEndian: raw)
        }
        out.append("{\"wkb\":")
        out.append(base64: bytes)
        out.append(",\"srid\":")
        if word(1) & 0x2000_0000 != 0, bytes.count >= 9 {
            out.append(decimal: UInt64(word(5)))
        } else {
            out.append("null")
        }
        out.append(byte: 0x7D)
    }

    /// pgvector: `[1,2.5,3]`.
    func vector(_ text: UnsafeRawBufferPointer, _ out: JSONBuffer) throws(EncodingFailure) {
        guard text.count >= 2, text[0] == 0x5B, text[text.count - 1] == 0x5D else { throw .malformed }
        out.append(byte: 0x5B)
        var start = 1
        while start < text.count - 1 {
            var end = start
            while end < text.count - 1, text[end] != 0x2C { end += 1 }
            if start > 1 { out.append(byte: 0x2C) }
            let number = UnsafeRawBufferPointer(rebasing: text[start..<end])
            guard FloatText.write(number, isSingle: true, into: out) else { throw .malformed }
            start = end + 1
        }
        out.append(byte: 0x5D)
    }

    /// pgvector: `{1:0.5,7:2}/10`.
    func sparseVector(_ text: UnsafeRawBufferPointer, _ out: JSONBuffer) throws(EncodingFailure) {
        guard text.count >= 4, text[0] == 0x7B, let close = text.firstIndex(of: 0x7D), close + 2 < text.count,
            NumericText(UnsafeRawBufferPointer(rebasing: text[(close + 2)...])) != nil
        else { throw .malformed }
        out.append("{\"dimensions\":")
        out.append(UnsafeRawBufferPointer(rebasing: text[(close + 2)...]))
        out.append(",\"vector\":[")
        var start = 1
        while start < close {
            var end = start
            while end < close, text[end] != 0x2C { end += 1 }
            let pair = UnsafeRawBufferPointer(rebasing: text[start..<end])
            guard let colon = pair.firstIndex(of: 0x3A) else { throw .malformed }
            if start > 1 { out.append(byte: 0x2C) }
            // A map whose keys are no texts: JsonConverter writes pairs.
            let index = UnsafeRawBufferPointer(rebasing: pair[..<colon])
            guard NumericText(index) != nil else { throw .malformed }
            out.append(byte: 0x5B)
            out.append(index)
            out.append(byte: 0x2C)
            let number = UnsafeRawBufferPointer(rebasing: pair[(colon + 1)...])
            guard FloatText.write(number, isSingle: true, into: out) else { throw .malformed }
            out.append(byte: 0x5D)
            start = end + 1
        }
        out.append("]}")
    }
}
