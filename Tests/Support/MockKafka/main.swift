import CRDKafka
import Glibc

// librdkafka's mock cluster in a process of its own, for tests and the benchmark. Its only argument is the number of
// brokers (1). Commands come on standard input, a line each; every one is answered with a line on standard output, the
// first of which is `ready <bootstrap servers>`. Ends when standard input ends, that is, with whoever started it.
//
//     topic NAME PARTITIONS            creates a topic
//     leader NAME PARTITION BROKER     moves a partition to another broker; -1: to none
//     down BROKER | up BROKER          breaks its connections and accepts none; -1: all
//     rtt BROKER MILLISECONDS          delays its answers
//     errors API CODE…                 the next requests of this API key fail with these codes; -195 disconnects
//     topic-error NAME CODE            what metadata says about the topic; 0: nothing wrong

func reply(_ text: String) {
    let bytes = Array((text + "\n").utf8)
    _ = write(1, bytes, bytes.count)
}

func stop(_ text: String) -> Never {
    let bytes = Array((text + "\n").utf8)
    _ = write(2, bytes, bytes.count)
    exit(1)
}

let brokerCount = CommandLine.arguments.dropFirst().first.flatMap { Int32($0) } ?? 1
var message = [CChar](repeating: 0, count: 512)
let configuration = rd_kafka_conf_new()
// Its own client has nothing to say.
rd_kafka_conf_set(configuration, "log_level", "0", &message, message.count)
guard let owner = rd_kafka_new(RD_KAFKA_PRODUCER, configuration, &message, message.count),
    let cluster = rd_kafka_mock_cluster_new(owner, brokerCount),
    let servers = rd_kafka_mock_cluster_bootstraps(cluster)
else { stop("no mock cluster") }

/// Carries out one command; nil for one that is none.
func run(_ words: [String]) -> rd_kafka_resp_err_t? {
    func number(_ index: Int) -> Int32? { index < words.count ? Int32(words[index]) : nil }
    switch words.first {
    case "topic":
        guard words.count == 3, let partitions = number(2) else { return nil }
        return rd_kafka_mock_topic_create(cluster, words[1], partitions, min(brokerCount, 3))
    case "leader":
        guard words.count == 4, let partition = number(2), let broker = number(3) else { return nil }
        return rd_kafka_mock_partition_set_leader(cluster, words[1], partition, broker)
    case "down": return number(1).map { rd_kafka_mock_broker_set_down(cluster, $0) }
    case "up": return number(1).map { rd_kafka_mock_broker_set_up(cluster, $0) }
    case "rtt":
        guard let broker = number(1), let delay = number(2) else { return nil }
        return rd_kafka_mock_broker_set_rtt(cluster, broker, delay)
    case "errors":
        guard let key = number(1), words.count > 2 else { return nil }
        let codes = words.dropFirst(2).compactMap { Int32($0) }.map { rd_kafka_resp_err_t($0) }
        rd_kafka_mock_push_request_errors_array(cluster, Int16(clamping: key), codes.count, codes)
        return RD_KAFKA_RESP_ERR_NO_ERROR
    case "topic-error":
        guard words.count == 3, let code = number(2) else { return nil }
        rd_kafka_mock_topic_set_error(cluster, words[1], rd_kafka_resp_err_t(code))
        return RD_KAFKA_RESP_ERR_NO_ERROR
    default: return nil
    }
}

reply("ready \(String(cString: servers))")
while let line = readLine() {
    guard let code = run(line.split(separator: " ").map(String.init)) else {
        reply("unknown command: \(line)")
        continue
    }
    reply(
        code == RD_KAFKA_RESP_ERR_NO_ERROR
            ? "ok" : "failed: \(rd_kafka_err2str(code).map { String(cString: $0) } ?? "")")
}
exit(0)
