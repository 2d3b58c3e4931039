package import MillraceCore

/// `org.apache.kafka.connect.json.JsonConverter`.
package final class JSONConverter: Converter {
    private let includesSchema: Bool
    private let values: JSONValueWriter
    private var schemas = SchemaMemo<JSONBuffer>()

    package init(_ options: EnvelopeOptions.Converter) {
        includesSchema = options.includesSchema
        values = JSONValueWriter(
            decimalsAsNumbers: options.writesDecimalsAsNumbers,
            replacesNullWithDefault: options.replacesNullWithDefault)
    }

    package var form: ConvertedForm { .json }

    package func convert(
        _ value: ConnectValue, _ schema: ConnectSchema?, topic: String, into out: JSONBuffer
    ) throws(ConnectorError) -> Bool {
        if schema == nil, value.isNull { return false }
        guard includesSchema else {
            try values.write(value, schema, into: out)
            return true
        }
        out.append("{\"schema\":")
        if let schema {
            let decimalsAsNumbers = values.decimalsAsNumbers
            let text = try schemas.value(for: schema) { () throws(ConnectorError) in
                let text = JSONBuffer()
                SchemaText.write(schema, decimalsAsNumbers: decimalsAsNumbers, into: text)
                return text
            }
            out.append(text.bytes)
        } else {
            out.append("null")
        }
        out.append(",\"payload\":")
        try values.write(value, schema, into: out)
        out.append(byte: 0x7D)
        return true
    }
}
