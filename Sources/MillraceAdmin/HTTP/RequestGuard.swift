/// Keeps web pages in a browser on this machine from talking to the server behind the user's back.
///
/// A page of another site can send simple requests to loopback addresses, and with a name of its own that resolves to
/// 127.0.0.1 it could even read the answers (DNS rebinding).
package struct RequestGuard: Sendable {
    /// Host names that a request may be addressed to; nil for any.
    private let hosts: Set<String>?

    /// `listenHost`: where the server listens. `isOpen`: it was asked to serve other machines, under names that it
    /// cannot know.
    package init(listenHost: String, isOpen: Bool) {
        hosts = isOpen ? nil : ["localhost", "127.0.0.1", "[::1]", "::1", listenHost.lowercased()]
    }

    /// Nil for a request that may pass.
    package func refusal(method: String, authority: String?, origin: String?, fetchSite: String?) -> AdminError? {
        if let hosts, let authority, !authority.isEmpty {
            let host = Self.host(of: authority)
            guard
                hosts.contains(host)
                    || host.hasPrefix("127.") && host.split(separator: ".").allSatisfy({ UInt8($0) != nil })
            else { return AdminError(403, "Host '\(host)' is not served here") }
        }
        if method == "GET" || method == "HEAD" || method == "OPTIONS" { return nil }
        if fetchSite == "cross-site" || fetchSite == "same-site" {
            return AdminError(403, "Requests of web pages of other sites are refused")
        }
        if let origin, origin.split(separator: "/").last.map(String.init)?.lowercased() != authority?.lowercased() {
            return AdminError(403, "Requests of web pages of other sites are refused")
        }
        return nil
    }

    /// Without the port.
    private static func host(of authority: String) -> String {
        let text = authority.lowercased()
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") { return String(text[...end]) }
        return String(text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).first ?? "")
    }
}
