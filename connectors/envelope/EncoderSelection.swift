import MillraceCore

/// Chooses encoders for the columns of a relation.
struct EncoderSelection {
    let options: EnvelopeOptions
    let converter: EnvelopeOptions.Converter
    /// Encoders of array elements; `ColumnEncoder.array` names them by index.
    private(set) var elements: [ColumnEncoder] = []

    init(_ options: EnvelopeOptions, _ converter: EnvelopeOptions.Converter) {
        self.options = options
        self.converter = converter
    }

    /// Nil: Debezium leaves such columns out.
    mutating func encoder(for type: ResolvedType) -> ColumnEncoder? {
        switch type.type {
        case .builtIn(let oid): return builtIn(oid, type.modifier)
        case .enumeration: return .text
        case .named(let name): return named(name, type.modifier)
        case .unknown: return unknown
        case .array(let element): return array(of: element, type.modifier)
        }
    }

    private var unknown: ColumnEncoder? {
        options.includesUnknownTypes ? .textBytes(options.binaryMode) : nil
    }

    private mutating func builtIn(_ oid: UInt32, _ modifier: Int32) -> ColumnEncoder? {
        switch oid {
        case TypeOID.bool: return .boolean
        case TypeOID.int2, TypeOID.int4, TypeOID.int8, TypeOID.oid: return .integer
        case TypeOID.float4: return .float(isSingle: true)
        case TypeOID.float8: return .float(isSingle: false)
        case TypeOID.numeric: return numeric(modifier)
        case TypeOID.money:
            return .money(
                options.decimalMode, digits: options.moneyFractionDigits, asNumber: converter.writesDecimalsAsNumbers)
        case TypeOID.bytea: return .bytea(options.binaryMode)
        case TypeOID.bit: return modifier == 1 || modifier == -1 ? .bitBoolean : .bits
        case TypeOID.varbit: return modifier == 1 ? .bitBoolean : .bits
        case TypeOID.point: return .point
        case TypeOID.date, TypeOID.time, TypeOID.timestamp, TypeOID.timestamptz, TypeOID.timetz, TypeOID.interval:
            return temporal(oid, modifier)
        case TypeOID.line, TypeOID.lseg, TypeOID.box, TypeOID.path, TypeOID.polygon, TypeOID.circle:
            return options.includesUnknownTypes ? .geometricBytes(options.binaryMode) : nil
        default: return EncoderSelection.isText(oid) ? .text : unknown
        }
    }

    private static let textTypes: Set<UInt32> = [
        TypeOID.char, TypeOID.name, TypeOID.text, TypeOID.json, TypeOID.xml, TypeOID.cidr, TypeOID.macaddr8,
        TypeOID.macaddr, TypeOID.inet, TypeOID.bpchar, TypeOID.varchar, TypeOID.uuid, TypeOID.tsvector, TypeOID.jsonb,
    ]

    private static func isText(_ oid: UInt32) -> Bool {
        textTypes.contains(oid) || TypeOID.ranges.contains(oid)
    }

    private func numeric(_ modifier: Int32) -> ColumnEncoder {
        switch options.decimalMode {
        case .double: return .decimalDouble
        case .string: return .decimalString
        case .precise: break
        }
        guard let (_, scale) = TypeModifier.numeric(modifier) else { return .variableScaleDecimal }
        return converter.writesDecimalsAsNumbers ? .decimalNumber(scale: scale) : .decimal(scale: scale)
    }

    private func temporal(_ oid: UInt32, _ modifier: Int32) -> ColumnEncoder {
        let precision = (0...6).contains(modifier) ? Int(modifier) : 6
        switch oid {
        case TypeOID.date: return options.timeMode == .isostring ? .isoDate : .date
        case TypeOID.time: return .time(timeUnit(precision))
        case TypeOID.timestamp: return .timestamp(timestampUnit(precision))
        case TypeOID.timetz: return .zonedTime
        case TypeOID.timestamptz: return .zonedTimestamp(digits: precision)
        default: return options.intervalMode == .string ? .isoInterval : .microDuration
        }
    }

    private func timeUnit(_ precision: Int) -> ColumnEncoder.TimeUnit {
        switch options.timeMode {
        case .adaptive: precision <= 3 ? .milliseconds : .microseconds
        case .connect: .milliseconds
        case .adaptiveTimeMicroseconds, .microseconds: .microseconds
        case .nanoseconds: .nanoseconds
        case .isostring: .iso
        }
    }

    private func timestampUnit(_ precision: Int) -> ColumnEncoder.TimeUnit {
        switch options.timeMode {
        case .adaptive, .adaptiveTimeMicroseconds: precision <= 3 ? .milliseconds : .microseconds
        case .connect: .milliseconds
        case .microseconds: .microseconds
        case .nanoseconds: .nanoseconds
        case .isostring: .iso
        }
    }

    private func named(_ name: String, _ modifier: Int32) -> ColumnEncoder? {
        switch name {
        case "citext", "ltree", "isbn": .text
        case "hstore": options.hstoreMode == .json ? .hstoreJSON : .hstoreMap
        case "geometry", "geography": .geometry
        case "vector", "halfvec": .vector
        case "sparsevec": .sparseVector
        default: unknown
        }
    }

    /// Arrays that Debezium has no schema for, whatever its configuration says.
    private static let unsupportedElements: Set<UInt32> = [
        TypeOID.money, TypeOID.name, TypeOID.interval, TypeOID.varbit, TypeOID.xml, TypeOID.point, TypeOID.refcursor,
    ]

    private mutating func array(of element: ColumnType, _ modifier: Int32) -> ColumnEncoder? {
        if case .builtIn(let oid) = element {
            if EncoderSelection.unsupportedElements.contains(oid) { return nil }
            if oid == TypeOID.bit { return .alwaysNull }
        }
        if case .array = element { return unknown }
        guard let encoder = self.encoder(for: ResolvedType(elementType: element, modifier)) else { return nil }
        elements.append(encoder)
        // Of all types only box separates the elements of its arrays by something else than a comma.
        let delimiter: UInt8 = element == .builtIn(TypeOID.box) ? 0x3B : 0x2C
        return .array(element: elements.count - 1, delimiter: delimiter)
    }
}

extension ResolvedType {
    init(elementType: ColumnType, _ modifier: Int32) {
        type = elementType
        self.modifier = modifier
    }
}
