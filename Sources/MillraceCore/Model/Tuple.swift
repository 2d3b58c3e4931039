/// One column of a tuple, as the source sent it. A view into the bytes of its batch.
package enum ColumnValue {
    case null
    /// A value stored out of line (TOAST) that the update did not touch: the source did not send it. Never null.
    case unchanged
    /// The value in PostgreSQL's text output format under the pinned session settings, UTF-8.
    case text(UnsafeRawBufferPointer)
    /// The value in PostgreSQL's binary send format.
    case binary(UnsafeRawBufferPointer)
}

/// The column values of one row image, read in place: pgoutput's TupleData (protocol-logicalrep-message-formats).
///
/// A view: the batch that it came from keeps the bytes alive. The bytes were checked when the record was read
/// (`RecordReader`), so that walking the columns cannot run out of them.
package struct TupleView {
    /// Number of columns.
    package let count: Int
    /// The bytes behind the column count.
    package let bytes: UnsafeRawBufferPointer

    @inlinable
    package init(count: Int, bytes: UnsafeRawBufferPointer) {
        self.count = count
        self.bytes = bytes
    }

    package enum Kind {
        package static let null: UInt8 = 0x6E  // 'n'
        package static let unchanged: UInt8 = 0x75  // 'u'
        package static let text: UInt8 = 0x74  // 't'
        package static let binary: UInt8 = 0x62  // 'b'
    }

    /// Length of the tuple at the start of `bytes`, its two-byte column count included; nil where the bytes are no
    /// tuple.
    @inlinable
    package static func measure(_ bytes: UnsafeRawBufferPointer) -> Int? {
        guard let base = bytes.baseAddress, bytes.count >= 2 else { return nil }
        let end = bytes.count
        var left = Int(UInt16(bigEndian: base.loadUnaligned(as: UInt16.self)))
        var offset = 2
        while left > 0 {
            guard offset < end else { return nil }
            let kind = base.load(fromByteOffset: offset, as: UInt8.self)
            offset += 1
            if kind == 0x74 || kind == 0x62 {
                guard offset + 4 <= end else { return nil }
                let length = Int(UInt32(bigEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
                offset += 4
                guard length <= end - offset else { return nil }
                offset += length
            } else if kind != 0x6E && kind != 0x75 {
                return nil
            }
            left -= 1
        }
        return offset
    }

    @inlinable
    package func makeIterator() -> Iterator {
        Iterator(bytes: bytes, left: count)
    }

    package struct Iterator: IteratorProtocol {
        @usableFromInline
        package let bytes: UnsafeRawBufferPointer
        @usableFromInline
        package var offset = 0
        @usableFromInline
        package var left: Int

        @inlinable
        package init(bytes: UnsafeRawBufferPointer, left: Int) {
            self.bytes = bytes
            self.left = left
        }

        /// The next column, nil behind the last one.
        @inlinable
        package mutating func next() -> ColumnValue? {
            guard left > 0, offset < bytes.count else { return nil }
            left -= 1
            let kind = bytes[offset]
            offset += 1
            if kind == 0x6E { return .null }
            if kind == 0x75 { return .unchanged }
            guard offset + 4 <= bytes.count else { return nil }
            let length = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
            offset += 4
            guard length <= bytes.count - offset else { return nil }
            let value = UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + length])
            offset += length
            return kind == 0x74 ? .text(value) : .binary(value)
        }
    }
}

extension TupleView: Sequence {}
