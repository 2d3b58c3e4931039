internal import MillraceCore

/// Finds out which attribute of a table a column of an older description of it is.
///
/// Attribute numbers never change and are never reused, both sides are in their order, and columns that have been dropped
/// since are still in the catalog as holes: every column has its place. So this is the best way to lay the shorter list
/// along the longer one: what was known before counts most, then names, then types.
enum ColumnAlignment {
    struct Match {
        /// 0 where no attribute can be it.
        var number: Int16
        var attribute: Catalog.Attribute?
    }

    /// One match for every one of `columns`. `attributes`: in order of their numbers, dropped ones included.
    static func align(
        _ columns: [PgOutputRelation.Column], with attributes: [Catalog.Attribute], previous: Relation?
    ) -> [Match] {
        if let matches = unchanged(columns, attributes) { return matches }
        var known: [String: Int16] = [:]
        for column in previous?.columns ?? [] where column.attributeNumber > 0 {
            known[column.name] = column.attributeNumber
        }
        // The table is gone (or was read wrongly, which is no reason to stop).
        guard attributes.count >= columns.count else {
            return columns.map { Match(number: known[$0.name] ?? 0, attribute: nil) }
        }
        let width = attributes.count + 1
        // best[i * width + j]: highest score of laying the first i columns along the first j attributes, all of them.
        let impossible: Int32 = -1_000_000_000
        var best = [Int32](repeating: impossible, count: (columns.count + 1) * width)
        for j in 0..<width { best[j] = 0 }
        for (index, column) in columns.enumerated() {
            let number = known[column.name]
            let above = index * width
            let row = above + width
            for j in (index + 1)..<width {
                let paired = best[above + j - 1] + score(column, attributes[j - 1], known: number)
                best[row + j] = max(paired, best[row + j - 1])
            }
        }
        return walkBack(best, width, columns, attributes)
    }

    /// The usual case, without a table of scores: every column that is there now is in the message, in order.
    private static func unchanged(
        _ columns: [PgOutputRelation.Column], _ attributes: [Catalog.Attribute]
    ) -> [Match]? {
        let live = attributes.filter { !$0.isDropped && $0.generation == nil }
        guard live.count == columns.count,
            zip(live, columns).allSatisfy({ $0.name == $1.name && $0.typeOID == $1.typeOID })
        else { return nil }
        return live.map { Match(number: $0.number, attribute: $0) }
    }

    private static func score(
        _ column: PgOutputRelation.Column, _ attribute: Catalog.Attribute, known: Int16?
    ) -> Int32 {
        // A column that was dropped and added again under its name is more likely than a message from before that.
        if attribute.isDropped { return known == attribute.number ? 100 : 3 }
        let sameType = attribute.typeOID == column.typeOID
        // More than one name that agrees, less than two: `a` may have been renamed and another `a` added, before the
        // message (then the new name is in it too) or after it.
        if known == attribute.number { return sameType ? 295 : 290 }
        if attribute.name == column.name { return sameType ? 200 : 150 }
        return sameType ? 10 : 1
    }

    private static func walkBack(
        _ best: [Int32], _ width: Int, _ columns: [PgOutputRelation.Column], _ attributes: [Catalog.Attribute]
    ) -> [Match] {
        var matches = columns.map { _ in Match(number: 0, attribute: nil) }
        var i = columns.count
        var j = attributes.count
        while i > 0, j > 0 {
            // An attribute that is no column of the message: leaving it out costs nothing.
            if j > i, best[i * width + j] == best[i * width + j - 1] {
                j -= 1
                continue
            }
            matches[i - 1] = Match(number: attributes[j - 1].number, attribute: attributes[j - 1])
            i -= 1
            j -= 1
        }
        return matches
    }
}
