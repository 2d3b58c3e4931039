/// Walks an array in PostgreSQL's text form (`array_out`): `{1,NULL,"a \"quoted\" one"}`, `[2:3]={7,8}`, `{{1,2},{3,4}}`.
struct ArrayText {
    enum Token {
        /// `{`
        case open
        /// `}`
        case close
        case null
        /// An element. The bytes are those of the array, or of `scratch` where backslashes had to be removed.
        case element(UnsafeRawBufferPointer)
    }

    private let text: UnsafeRawBufferPointer
    private let delimiter: UInt8
    private var index: Int
    private let scratch: JSONBuffer

    /// `scratch` is overwritten by each element that needs it.
    init?(_ text: UnsafeRawBufferPointer, delimiter: UInt8, scratch: JSONBuffer) {
        self.text = text
        self.delimiter = delimiter
        self.scratch = scratch
        index = 0
        if text.count > 0, text[0] == 0x5B {
            // Lower bounds that are not 1 have no place in JSON.
            guard let equals = text.firstIndex(of: 0x3D) else { return nil }
            index = equals + 1
        }
        guard index < text.count, text[index] == 0x7B else { return nil }
    }

    var isAtEnd: Bool { index >= text.count }

    /// The next token; nil where the text is malformed or at its end.
    mutating func next() -> Token? {
        while index < text.count, text[index] == delimiter { index += 1 }
        guard index < text.count else { return nil }
        switch text[index] {
        case 0x7B:
            index += 1
            return .open
        case 0x7D:
            index += 1
            return .close
        case 0x22:
            return quoted()
        default:
            return plain()
        }
    }

    private mutating func plain() -> Token? {
        let start = index
        while index < text.count, text[index] != delimiter, text[index] != 0x7D { index += 1 }
        let element = UnsafeRawBufferPointer(rebasing: text[start..<index])
        return ArrayText.isNull(element) ? .null : .element(element)
    }

    static func isNull(_ element: UnsafeRawBufferPointer) -> Bool {
        element.count == 4 && element[0] == 0x4E && element[1] == 0x55 && element[2] == 0x4C && element[3] == 0x4C
    }

    private mutating func quoted() -> Token? {
        index += 1
        let start = index
        while index < text.count, text[index] != 0x22, text[index] != 0x5C { index += 1 }
        guard index < text.count else { return nil }
        if text[index] == 0x22 {
            index += 1
            return .element(UnsafeRawBufferPointer(rebasing: text[start..<index - 1]))
        }
        scratch.removeAll()
        scratch.append(UnsafeRawBufferPointer(rebasing: text[start..<index]))
        while index < text.count, text[index] != 0x22 {
            if text[index] == 0x5C { index += 1 }
            guard index < text.count else { return nil }
            scratch.append(byte: text[index])
            index += 1
        }
        guard index < text.count else { return nil }
        index += 1
        return .element(scratch.bytes)
    }
}

/// Walks an `hstore` in its text form: `"key"=>"value", "other"=>NULL`.
struct HstoreText {
    private let text: UnsafeRawBufferPointer
    private var index = 0

    init(_ text: UnsafeRawBufferPointer) {
        self.text = text
    }

    var isAtEnd: Bool { index >= text.count }

    /// Copies the next key, or value, without its quotes and backslashes into `target`.
    /// False for NULL; nil where the text is malformed.
    mutating func next(into target: JSONBuffer) -> Bool? {
        while index < text.count,
            text[index] == 0x20 || text[index] == 0x2C || text[index] == 0x3D || text[index] == 0x3E
        {
            index += 1
        }
        target.removeAll()
        guard index < text.count else { return nil }
        guard text[index] == 0x22 else {
            guard index + 4 <= text.count, ArrayText.isNull(UnsafeRawBufferPointer(rebasing: text[index..<index + 4]))
            else {
                return nil
            }
            index += 4
            return false
        }
        index += 1
        while index < text.count, text[index] != 0x22 {
            if text[index] == 0x5C { index += 1 }
            guard index < text.count else { return nil }
            target.append(byte: text[index])
            index += 1
        }
        guard index < text.count else { return nil }
        index += 1
        return true
    }
}
