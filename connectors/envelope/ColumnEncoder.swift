/// How the text of a column becomes JSON: what a relation's plan holds per column. Plain data, so that a row is written
/// without a call through a pointer and without reference counting.
enum ColumnEncoder: Hashable {
    enum TimeUnit: Hashable {
        case milliseconds
        case microseconds
        case nanoseconds
        case iso
    }

    case boolean
    /// Digits that JSON takes as they are.
    case integer
    case float(isSingle: Bool)
    case text
    /// Base64 of the unscaled value.
    case decimal(scale: Int)
    /// `decimal.format=NUMERIC`.
    case decimalNumber(scale: Int)
    case variableScaleDecimal
    case decimalDouble
    case decimalString
    case money(EnvelopeOptions.DecimalMode, digits: Int, asNumber: Bool)
    case bitBoolean
    case bits
    case bytea(EnvelopeOptions.BinaryMode)
    /// The text of a type without a mapping of its own, as bytes.
    case textBytes(EnvelopeOptions.BinaryMode)
    /// The same for the geometric types, whose numbers are spelled as Java spells them.
    case geometricBytes(EnvelopeOptions.BinaryMode)
    case date
    case isoDate
    case time(TimeUnit)
    case timestamp(TimeUnit)
    case zonedTime
    case zonedTimestamp(digits: Int)
    case microDuration
    case isoInterval
    case hstoreJSON
    case hstoreMap
    case point
    /// `vector` and `halfvec` of pgvector.
    case vector
    case sparseVector
    /// PostGIS.
    case geometry
    /// `element`: index into the plan's element encoders.
    case array(element: Int, delimiter: UInt8)
    /// Debezium has a schema for `bit[]` but never a value.
    case alwaysNull
}

/// Why a value could not be written. The caller adds table and column; values never go into messages.
enum EncodingFailure: Error {
    /// The text is not of the column's type.
    case malformed
    case notUTF8
    /// NaN or an infinity where only decimal digits fit.
    case notFinite
    /// Outside what 64 bits of microseconds or nanoseconds hold.
    case outOfRange
    /// An array of several dimensions, where a schema says otherwise.
    case multidimensional
    /// Binary format, which the source never asks for.
    case binaryFormat
}
