internal import MillraceCore

// PostgreSQL says nothing of rows that DDL rewrites: ALTER TYPE and ADD COLUMN … DEFAULT nextval(…) change every row
// without a message about any. What can be seen is the new description of the table.

/// Why rows that were copied before may differ from the source now; nil where they cannot.
func staleness(from old: Relation, to new: Relation) -> String? {
    guard old.version != new.version else { return nil }
    // Rename and drop keep the number of a column; without numbers nothing can be told from a name.
    var before: [Int16: Column] = [:]
    for column in old.columns where column.attributeNumber > 0 { before[column.attributeNumber] = column }
    guard !before.isEmpty else { return nil }
    for column in new.columns where column.attributeNumber > 0 {
        if let known = before[column.attributeNumber] {
            if changesValues(from: known, to: column) {
                return remark("the type of \(column.name) was changed from \(known.typeName) to \(column.typeName)")
            }
        } else if !isConstant(column.defaultExpression) || column.identity != .none {
            return remark("\(column.name) was added with a default that differs from row to row")
        }
    }
    return nil
}

extension SourceRun {
    /// Takes the definitions that the log holds for what the server last described: what changes from now on, or has changed
    /// while nobody looked, is compared with them.
    mutating func recall(_ relations: some Sequence<Relation>, _ state: SourceState) {
        counts.stale = state.stale
        table.state = state
        for relation in relations {
            var captured = CapturedRelation(relation: relation, isCaptured: true)
            let index = table.set(relation.id.value, captured, columnCount: relation.columns.count)
            // Shown once the server has described it: it may be gone.
            captured.isCaptured = state.stale[relation.id.value] != nil
            counts.name(index, captured)
        }
        board.set(counts)
    }
}

private func remark(_ what: String) -> String {
    what + "; the server sends no changes for rows that this rewrote. To copy the table again: delete the connector's "
        + "offsets while it is stopped (DELETE /connectors/{name}/offsets), or restart it once with snapshot.mode=always"
}

/// Whether a change of type may have changed values, or their text. Widening does not.
private func changesValues(from old: Column, to new: Column) -> Bool {
    if old.typeOID == new.typeOID {
        if old.typeModifier == new.typeModifier { return false }
        // No limit any more, or a wider one of a type whose values stay as they are.
        if new.typeModifier < 0 { return false }
        switch new.typeOID {
        case 1043, 1562: return old.typeModifier < 0 || new.typeModifier < old.typeModifier  // varchar, varbit
        case 1700:  // numeric: precision in the high half, scale in the low one
            let (precision, scale) = ((old.typeModifier - 4) >> 16, (old.typeModifier - 4) & 0xFFFF)
            let (newPrecision, newScale) = ((new.typeModifier - 4) >> 16, (new.typeModifier - 4) & 0xFFFF)
            return old.typeModifier < 0 || newScale != scale || newPrecision < precision
        default: return true
        }
    }
    switch (old.typeOID, new.typeOID) {
    case (21, 23), (21, 20), (23, 20): return false  // int2, int4, int8: the same digits
    case (1043, 25), (650, 869): return false  // varchar to text, cidr to inet
    case (25, 1043): return new.typeModifier >= 0
    default: return true
    }
}

/// Whether the default is the same for all rows and can be written down: no function is called.
private func isConstant(_ expression: String?) -> Bool {
    guard let expression else { return true }
    var isInText = false
    var isBehindCast = false
    var depth = 0
    for character in expression {
        if character == "'" { isInText.toggle() }
        if isInText { continue }
        switch character {
        case ":": isBehindCast = true
        // What a type has in parentheses: '0'::numeric(10,2).
        case "(" where isBehindCast: depth += 1
        case "(": return false
        case ")": depth -= 1
        default: break
        }
    }
    let upper = expression.uppercased()
    return !upper.hasPrefix("CURRENT_") && !upper.hasPrefix("LOCALTIME") && !upper.hasPrefix("SESSION_USER")
        && !upper.hasPrefix("USER")
}
