/// Text as it may stand in SQL.
package enum Quoting {
    /// `weird "name"` → `"weird ""name"""`. Always quoted, so that no keyword and no case is an exception.
    package static func identifier(_ name: some StringProtocol) -> String {
        "\"" + doubled(name, ["\""]) + "\""
    }

    package static func qualified(_ namespace: some StringProtocol, _ name: some StringProtocol) -> String {
        identifier(namespace) + "." + identifier(name)
    }

    /// `O'Hara` → `'O''Hara'`; text with a backslash gets a leading E and doubled backslashes, which is right under
    /// either setting of `standard_conforming_strings`.
    package static func literal(_ text: some StringProtocol) -> String {
        let quoted = "'" + doubled(text, ["'", "\\"]) + "'"
        return text.contains("\\") ? " E" + quoted : quoted
    }

    private static func doubled(_ text: some StringProtocol, _ characters: Set<Unicode.Scalar>) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            if characters.contains(scalar) { result.append(scalar) }
            result.append(scalar)
        }
        return String(result)
    }
}
