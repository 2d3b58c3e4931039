package import MillraceCore

/// What the configuration says of how events leave: their envelope, their transforms, their converters.
package struct EventForm: Sendable {
    package var options: EnvelopeOptions
    package var key: ConverterChoice
    package var value: ConverterChoice
    package var header: ConverterChoice
    /// Makes the transforms, in their order; a chain for each run, because they keep state. Nil: there are none.
    package var makeTransforms: (@Sendable () throws(ConnectorError) -> [any Transform])?
    /// Nil: converters that need a registry are refused.
    package var registries: SchemaRegistryFactory?

    /// Reads the properties; those of the sink's converters go before the source's.
    package init(
        source: SourceDescription, sink: ConnectorConfig, taskID: Int = 0,
        makeTransforms: (@Sendable () throws(ConnectorError) -> [any Transform])? = nil
    ) throws(ConnectorError) {
        options = try EnvelopeOptions(source: source, sink: sink, taskID: taskID)
        key = try ConverterChoice("key.converter", source: source.config, sink: sink)
        value = try ConverterChoice("value.converter", source: source.config, sink: sink)
        header = try ConverterChoice("header.converter", source: source.config, sink: sink)
        self.makeTransforms = makeTransforms
    }

    /// The encoder's own JSON is what leaves: nothing is made of it but bytes.
    package var isDirect: Bool { makeTransforms == nil && key.kind == .json && value.kind == .json }
}

/// Turns the records of a change log into the events that leave. Fed and emptied like `EnvelopeEncoder`, which does all the
/// work where there are no transforms and everything is JSON.
///
/// Used by one thread.
package final class EventPipeline {
    private let encoder: EnvelopeEncoder
    private let conversion: EventConversion?

    /// `resumedAt`, `lastCommitEnd`: see `EnvelopeEncoder`. `isWanted`: of topics, as the source names them.
    package init(
        _ form: EventForm, headers: EventHeaders, resumedAt: Cursor? = nil, lastCommitEnd: LSN? = nil,
        isWanted: @escaping (String) -> Bool
    ) throws(ConnectorError) {
        var options = form.options
        if form.isDirect {
            (options.key, options.value) = (form.key.json, form.value.json)
            conversion = nil
        } else {
            (options.key, options.value) = (EventConversion.plain, EventConversion.plain)
            options.keepsSchemas = true
            conversion = try EventConversion(form, headers)
        }
        encoder = EnvelopeEncoder(options, resumedAt: resumedAt, lastCommitEnd: lastCommitEnd, isWanted: isWanted)
        for (property, choice) in [("key.converter", form.key), ("value.converter", form.value)] {
            encoder.warnings += choice.withoutEffect.map { "\(property).\($0.name): has no effect: \($0.reason)" }
        }
    }

    /// Topics of the events so far, in the order in which they were met.
    package var topics: [String] { conversion?.topics ?? encoder.topics }

    /// Whether a line of JSON can hold keys and values, and how.
    package var keyForm: ConvertedForm { conversion?.key.form ?? .json }
    package var valueForm: ConvertedForm { conversion?.value.form ?? .json }

    /// Things that users should know and that are no errors; whoever logs them empties the list.
    package var warnings: [String] {
        get { encoder.warnings }
        set { encoder.warnings = newValue }
    }

    /// Writes the events of one record. `offset`: where it ends in the batch.
    package func encode(
        _ record: Record, endingAt offset: Int, of batch: ChangeBatch, into events: EncodedEvents
    ) throws(ConnectorError) {
        guard let conversion else { return try encoder.encode(record, endingAt: offset, of: batch, into: events) }
        try encoder.encode(record, endingAt: offset, of: batch, into: conversion.encoded)
        try conversion.convert(encoder, into: events)
    }

    /// The batch has been passed. Where nothing is open or held back, that is a boundary too.
    package func finish(_ batch: ChangeBatch, into events: EncodedEvents) throws(ConnectorError) {
        guard let conversion else { return encoder.finish(batch, into: events) }
        encoder.finish(batch, into: conversion.encoded)
        try conversion.convert(encoder, into: events)
    }
}
