import Foundation
import MillraceCore
import Testing

@testable import Envelope

/// Texts of values: whatever a type's output function might say (extensions have their own), and definitions of tables.
@Suite struct EnvelopeFuzzTests {
    private static let elements: [ColumnEncoder] = [
        .text, .integer, .decimal(scale: 2), .float(isSingle: false), .date, .timestamp(.microseconds),
        .boolean,
        .bytea(.base64), .hstoreMap, .microDuration,
    ]
    private static let encoders: [ColumnEncoder] =
        [
            .boolean, .integer, .float(isSingle: false), .float(isSingle: true), .text, .decimal(scale: 4),
            .decimal(scale: -3), .decimal(scale: 16383), .decimalNumber(scale: 2), .variableScaleDecimal,
            .decimalDouble,
            .decimalString, .bitBoolean, .bits, .bytea(.bytes), .bytea(.hex), .textBytes(.base64),
            .geometricBytes(.hex),
            .date, .isoDate, .time(.microseconds), .time(.milliseconds), .time(.nanoseconds), .time(.iso),
            .timestamp(.milliseconds), .timestamp(.microseconds),
            .timestamp(.nanoseconds),
            .timestamp(.iso), .zonedTime, .zonedTimestamp(digits: 6), .microDuration, .isoInterval,
            .hstoreJSON,
            .hstoreMap, .point, .vector, .sparseVector, .geometry, .alwaysNull,
        ]
        + [EnvelopeOptions.DecimalMode.precise, .double, .string].flatMap { mode in
            [0, 2, 18].map { ColumnEncoder.money(mode, digits: $0, asNumber: $0 == 2) }
        } + elements.indices.map { .array(element: $0, delimiter: 0x2C) }

    private static let texts: [[UInt8]] = [
        "", "t", "0", "-1", "9223372036854775807", "-9223372036854775809", "1e400", "1e-400", "NaN", "-Infinity",
        "-0.000",
        "99999999999999999999999999999999999999999.99999999", "2026-11-21", "4713-01-01 BC", "infinity", "-infinity",
        "5874897-12-31", "294276-12-31 23:59:59.999999", "2026-11-21 24:00:00.5+15:59:59", "23:59:60", "12:00:00-08",
        "178000000 years -11 mons +30 days -23:59:59.999999", "-00:00:00.000001", "1 year 2 mons", "{}",
        "{NULL,\"a\\\"b\"}",
        "{{1,2},{3,4}}", "[0:2]={1,2,3}", "\"a\"=>\"1\", \"b\"=>NULL", "(1.5,-2e10)", "((0,0),(1,1))", "<(1,2),3>",
        "[1,2,3]", "{1:0.5,3:1}/5", "{1:0.5}/2147483648", "$1,234.56", "-$92,233,720,368,547,758.08", "\\x00ff",
        "\\\\000",
        "0101000020E6100000000000000000F03F0000000000000040", "01", "10110", "[1,5)", "(,\"2026-01-01\"]", "empty",
        "{\"2026-11-21 00:00:00\",NULL}", "a\u{0}b\u{FFFF}\u{1F600}",
    ].map { Array($0.utf8) }

    @Test func valuesOfAnyTextBecomeJSONOrAreRefused() throws {
        let alphabet = Array("0123456789+-.:,eE{}[]()\"\\ =>NUL/x$BCinfty \u{80}".utf8)
        let out = JSONBuffer()
        let writers = [ColumnWriter(allowsNesting: true), ColumnWriter(allowsNesting: false)]
        var written = 0
        Fuzz.cases(40_000) { random in
            let text = random.mutate(random.pick(Self.texts), other: random.pick(Self.texts), alphabet: alphabet)
            let encoder = random.pick(Self.encoders)
            out.removeAll()
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: text.count, alignment: 1)
            defer { memory.deallocate() }
            memory.copyBytes(from: text)
            do {
                try random.pick(writers).write(UnsafeRawBufferPointer(memory), encoder, Self.elements, into: out)
            } catch {
                return
            }
            written += 1
            guard written % 8 == 0, !Self.isNumber(encoder) else { return }
            let json = Data(out.bytes)
            if (try? JSONSerialization.jsonObject(with: json, options: .fragmentsAllowed)) == nil {
                Issue.record(
                    "\(encoder) made \(String(decoding: json, as: UTF8.self)) of \(String(decoding: text, as: UTF8.self))"
                )
            }
        }
        #expect(written > 0)
    }

    /// Digits are passed on as they came: leading zeros too, which PostgreSQL does not write and JSON does not take, and
    /// numbers that are too large for Foundation's parser.
    private static func isNumber(_ encoder: ColumnEncoder) -> Bool {
        switch encoder {
        case .integer, .decimalNumber, .money, .float: true
        case .array(let element, _): isNumber(elements[element])
        default: false
        }
    }

    @Test(arguments: ["{", "[", "(", "\"", "\\", "\"a\"=>", "-", "1,", "{\"", "9"])
    func longRepetitionsEnd(_ part: String) {
        let text = Array(String(repeating: part, count: 20_000).utf8)
        let out = JSONBuffer()
        let writer = ColumnWriter(allowsNesting: true)
        for encoder in Self.encoders {
            out.removeAll()
            text.withUnsafeBytes { try? writer.write($0, encoder, Self.elements, into: out) }
        }
    }

    @Test func defaultsAndTypeNamesOfAnyTextAreRead() {
        let texts = [
            "'a''b'::text", "E'\\n\\x41'::character varying", "nextval('s'::regclass)", "(-1)", "'2026-01-01'::date",
            "now()",
            "'{1,2}'::integer[]", "B'101'::\"bit\"", "1.5::numeric(10,2)", "NULL::text", "numeric(5,-2)",
            "bit varying(12)",
            "timestamp(3) with time zone", "interval day to second(2)",
        ].map { Array($0.utf8) }
        let alphabet = Array("'()\\:E,0123456789-[]\"x ".utf8)
        Fuzz.cases(4000) { random in
            let text = String(
                decoding: random.mutate(random.pick(texts), other: random.pick(texts), alphabet: alphabet),
                as: UTF8.self)
            _ = DefaultValue(text)
            _ = TypeModifier.parse(
                text, random.pick([TypeOID.numeric, TypeOID.bit, TypeOID.timestamptz, TypeOID.interval]))
            _ = TypeModifier.numeric(Int32(truncatingIfNeeded: random.next()))
        }
    }
}
