import MillraceTesting

/// A replication whose two connections lead through fault proxies.
final class ProxiedReplication {
    let shop: Replication
    let sourceProxy: FaultProxy
    let targetProxy: FaultProxy

    enum Side: String, CaseIterable, Sendable {
        case source
        case target
    }

    init(_ sql: String, sourceConfig: [String: String] = [:], sinkConfig: [String: String] = [:]) throws {
        shop = try Replication(sql, sourceConfig: sourceConfig, sinkConfig: sinkConfig)
        sourceProxy = try FaultProxy(to: shop.source.port)
        targetProxy = try FaultProxy(to: shop.target.port)
        shop.sourceConfig["database.port"] = "\(sourceProxy.port)"
        shop.sinkConfig["connection.url"] = "postgresql://127.0.0.1:\(targetProxy.port)/\(shop.targetDatabase)"
    }

    /// The server ends before the proxies do: it would only wait for them.
    deinit {
        shop.millrace.kill9()
    }

    func proxy(_ side: Side) -> FaultProxy { side == .source ? sourceProxy : targetProxy }
    /// The connector that talks through that proxy.
    func connector(_ side: Side) -> String { side == .source ? "source" : "sink" }

    /// Short times after which a dead connection is noticed.
    static let impatient = ["tcp.timeout.ms": "2000", "receive.timeout.ms": "3000"]
    static let impatientSink = ["tcp.timeout.ms": "2000"]

    /// Every kind of answer comes while the network is as it is.
    func requireRESTAnswers(_ situation: String) throws {
        for path in ["/health", "/connectors", "/connectors/source/status", "/connectors/sink/status", "/metrics"] {
            let start = ContinuousClock.now
            let status = try shop.millrace.request("GET", path, headers: ["Accept": "*/*"]).status
            let elapsed = start.duration(to: .now)
            guard status == 200, elapsed < .seconds(8) else {
                throw TestFailure("\(situation): GET \(path) answered \(status) after \(elapsed)")
            }
        }
    }
}
