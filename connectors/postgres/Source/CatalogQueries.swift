internal import MillraceCore

/// The catalog query behind every description of a relation: one statement whatever it is asked for, so that one round
/// trip describes one table or a thousand.
enum CatalogQueries {
    /// Columns of every row of the result: kind, object, number, then texts whose meaning depends on the kind
    /// (`Catalog.take`). The parameters are relations, and the types and modifiers of a message's columns.
    static func describe(serverVersion: Int) -> String {
        """
        WITH RECURSIVE rels AS MATERIALIZED (
            SELECT c.* FROM pg_class c WHERE c.oid = ANY ($1)
        ), attrs AS MATERIALIZED (
            SELECT a.* FROM pg_attribute a WHERE a.attrelid = ANY ($1) AND a.attnum > 0
        ), needed(oid) AS (
            SELECT a.atttypid FROM attrs a WHERE a.atttypid >= 16384
            UNION SELECT u FROM unnest($2) u WHERE u >= 16384
            UNION SELECT d.oid FROM needed n CROSS JOIN LATERAL (
                SELECT e.oid FROM pg_type t, LATERAL (VALUES (t.typelem), (t.typbasetype)) e(oid) WHERE t.oid = n.oid
                UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE r.rngtypid = n.oid
                \(serverVersion >= 140_000
                    ? "UNION ALL SELECT r.rngtypid FROM pg_range r WHERE r.rngmultitypid = n.oid" : "")
                UNION ALL SELECT a.atttypid FROM pg_type t JOIN pg_attribute a ON a.attrelid = t.typrelid
                    WHERE t.oid = n.oid AND a.attnum > 0 AND NOT a.attisdropped
            ) d WHERE d.oid >= 16384
        )
        \(relations) UNION ALL \(columns) UNION ALL \(indexes) UNION ALL \(ancestors)
        UNION ALL \(types(serverVersion)) UNION ALL \(labels) UNION ALL \(constraints) UNION ALL \(fields)
        UNION ALL \(messageTypes)
        """
    }

    private static let relations = """
        SELECT 'r', c.oid::text, NULL::int, n.nspname::text, c.relname::text, c.relkind::text, c.relreplident::text,
            c.relispartition::text, c.relpersistence::text, c.reltuples::text, NULL::text, NULL::text
        FROM rels c JOIN pg_namespace n ON n.oid = c.relnamespace
        """

    private static let columns = """
        SELECT 'c', a.attrelid::text, a.attnum, a.attname, a.atttypid::text, a.atttypmod::text,
            format_type(a.atttypid, a.atttypmod), a.attnotnull::text, a.attgenerated::text, a.attidentity::text,
            pg_get_expr(d.adbin, d.adrelid), a.attisdropped::text
        FROM attrs a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef
        """

    private static let indexes = """
        SELECT 'i', i.indrelid::text, i.indnkeyatts, i.indisprimary::text, i.indisreplident::text, i.indimmediate::text,
            i.indkey::text, NULL, NULL, NULL, NULL, NULL
        FROM pg_index i WHERE i.indrelid = ANY ($1) AND (i.indisprimary OR i.indisreplident) AND i.indisvalid
        """

    private static let ancestors = """
        SELECT 'a', c.oid::text, p.level::int, n.nspname, a.relname, a.oid::text, NULL, NULL, NULL, NULL, NULL, NULL
        FROM rels c CROSS JOIN LATERAL pg_partition_ancestors(c.oid) WITH ORDINALITY p(oid, level)
        JOIN pg_class a ON a.oid = p.oid JOIN pg_namespace n ON n.oid = a.relnamespace
        WHERE c.relispartition AND p.oid <> c.oid
        """

    /// An array is a type that another one names as its array: arrays of domains and of composites included, `point`, which
    /// also has elements, not.
    private static func types(_ serverVersion: Int) -> String {
        let multirange =
            serverVersion >= 140_000
            ? "(SELECT r.rngtypid FROM pg_range r WHERE r.rngmultitypid = t.oid)" : "NULL::oid"
        return """
            SELECT 't', t.oid::text, NULL, n.nspname, t.typname, t.typtype::text,
                (SELECT e.oid FROM pg_type e WHERE e.typarray = t.oid)::text, t.typbasetype::text,
                format_type(coalesce(nullif(t.typbasetype, 0),
                    (SELECT r.rngsubtype FROM pg_range r WHERE r.rngtypid = t.oid)), t.typtypmod), t.typnotnull::text,
                (SELECT x.extname FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid
                    WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid
                    AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' LIMIT 1),
                coalesce((SELECT r.rngsubtype FROM pg_range r WHERE r.rngtypid = t.oid), \(multirange))::text
            FROM needed x JOIN pg_type t ON t.oid = x.oid JOIN pg_namespace n ON n.oid = t.typnamespace
            """
    }

    private static let labels = """
        SELECT 'e', e.enumtypid::text, row_number() OVER (PARTITION BY e.enumtypid ORDER BY e.enumsortorder)::int,
            e.enumlabel, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
        FROM pg_enum e WHERE e.enumtypid IN (SELECT oid FROM needed)
        """

    // NOT NULL of a domain is a constraint of its own from 17 on; `typnotnull` says it in every version.
    private static let constraints = """
        SELECT 'd', k.contypid::text, NULL, k.conname, pg_get_constraintdef(k.oid), NULL, NULL, NULL, NULL, NULL, NULL, NULL
        FROM pg_constraint k WHERE k.contypid IN (SELECT oid FROM needed) AND k.contype = 'c'
        """

    private static let fields = """
        SELECT 'f', t.oid::text, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.atttypid::text,
            NULL, NULL, NULL, NULL, NULL, NULL
        FROM needed x JOIN pg_type t ON t.oid = x.oid JOIN pg_attribute a ON a.attrelid = t.typrelid
        WHERE t.typtype = 'c' AND a.attnum > 0 AND NOT a.attisdropped
        """

    private static let messageTypes = """
        SELECT 'm', NULL, m.n::int, CASE WHEN EXISTS (SELECT FROM pg_type t WHERE t.oid = m.type)
            THEN format_type(m.type, m.modifier) END, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
        FROM unnest($2, $3) WITH ORDINALITY m(type, modifier, n)
        """
}
