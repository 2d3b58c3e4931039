import Foundation

/// Seeded mutation of bytes, for suites that feed bytes from outside to whatever reads them.
///
/// A trap ends the whole process, so the seed is written out before anything runs. `MILLRACE_SEED=n swift test --filter
/// FuzzTests.<suite>/<test>` does the same again. `MILLRACE_FUZZ=n` multiplies the number of cases.
enum Fuzz {
    static let seed: UInt64 = {
        let environment = ProcessInfo.processInfo.environment
        let seed = environment["MILLRACE_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64.max)
        FileHandle.standardError.write(Data("fuzzing with MILLRACE_SEED=\(seed)\n".utf8))
        return seed
    }()

    static let factor = ProcessInfo.processInfo.environment["MILLRACE_FUZZ"].flatMap { Int($0) } ?? 1

    /// Runs `body` for each case, with numbers of its own that do not depend on the cases before.
    static func cases(_ count: Int, _ body: (inout FuzzRandom) throws -> Void) rethrows {
        for number in 0..<count * factor {
            var random = FuzzRandom(seed: seed &+ UInt64(number) &* 0x9E37_79B9_7F4A_7C15)
            try body(&random)
        }
    }
}

/// SplitMix64, and what is drawn from it.
struct FuzzRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }

    mutating func chance(_ oneIn: Int) -> Bool { number(1...oneIn) == 1 }

    mutating func pick<Choice>(_ choices: [Choice]) -> Choice { choices[number(0...choices.count - 1)] }

    /// One to four changes, small ones mostly. `other`: what parts may be taken from. `alphabet`: bytes that mean something.
    mutating func mutate(_ bytes: [UInt8], other: [UInt8] = [], alphabet: [UInt8] = []) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<number(1...4) { mutateOnce(&bytes, other, alphabet) }
        return bytes
    }

    private mutating func mutateOnce(_ bytes: inout [UInt8], _ other: [UInt8], _ alphabet: [UInt8]) {
        let place = number(0...bytes.count)
        switch number(0...9) {
        case 0 where place < bytes.count: bytes[place] ^= 1 << UInt8(number(0...7))
        case 1 where place < bytes.count: bytes[place] = byte(alphabet)
        case 2 where place < bytes.count: bytes.removeSubrange(place..<min(bytes.count, place + number(1...8)))
        case 3: bytes.insert(contentsOf: (0..<number(1...8)).map { _ in byte(alphabet) }, at: place)
        case 4: bytes.removeSubrange(place...)
        case 5:
            let end = number(place...bytes.count)
            bytes.insert(contentsOf: bytes[place..<min(end, place + 64)], at: place)
        case 6 where !other.isEmpty:
            let start = number(0...other.count - 1)
            bytes.replaceSubrange(place..., with: other[start...])
        default: overwriteNumber(&bytes, place)
        }
    }

    private mutating func byte(_ alphabet: [UInt8]) -> UInt8 {
        alphabet.isEmpty || chance(4) ? UInt8(number(0...255)) : pick(alphabet)
    }

    /// Lengths and counts at the limits of their types, in either byte order.
    private mutating func overwriteNumber(_ bytes: inout [UInt8], _ place: Int) {
        let width = pick([1, 2, 4, 8])
        guard place + width <= bytes.count else { return }
        let value: UInt64 = pick([
            0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 62,
            UInt64(Int64.max), 1 << 63, .max, UInt64(bytes.count), UInt64(place),
        ])
        let isBigEndian = chance(2)
        for index in 0..<width {
            let shift = UInt64(8 * (isBigEndian ? width - 1 - index : index))
            bytes[place + index] = UInt8(truncatingIfNeeded: value >> shift)
        }
    }
}
