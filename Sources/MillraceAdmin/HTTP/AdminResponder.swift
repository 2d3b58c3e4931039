package import Hummingbird
import Logging
import MillraceRuntime

/// Answers requests: finds the route, keeps to the rules of HTTP in the order in which Kafka Connect's library checks
/// them, and turns every error into the error document.
package struct AdminResponder: HTTPResponder {
    package typealias Context = BasicRequestContext

    /// Larger bodies than this are no connector configurations.
    private static let greatestBody = 1 << 20

    private let routes: [Route]
    /// What can be answered while the worker is starting.
    private let earlyRoutes: [Route]
    private let readiness: Readiness
    private let requestGuard: RequestGuard

    init(routes: [Route], earlyRoutes: [Route], readiness: Readiness, requestGuard: RequestGuard) {
        self.routes = routes
        self.earlyRoutes = earlyRoutes
        self.readiness = readiness
        self.requestGuard = requestGuard
    }

    package func respond(to request: Request, context: BasicRequestContext) async throws -> Response {
        var response: AdminResponse
        do {
            response = try await answer(request)
        } catch let error as AdminError {
            response = .error(error)
        } catch let error as WorkerError {
            response = .error(AdminError(error.status, error.message))
        } catch let error as CancellationError {
            throw error
        } catch {
            context.logger.error("a request failed", metadata: ["error": "\(error)"])
            response = .error(AdminError(500, "\(error)"))
        }
        if request.method == .head { response.body = [] }
        return Self.httpResponse(response)
    }

    private func answer(_ request: Request) async throws -> AdminResponse {
        let authority = request.head.authority
        let method = request.method.rawValue
        if let refusal = requestGuard.refusal(
            method: method, authority: authority, origin: request.headers[.origin],
            fetchSite: request.headers.first { $0.name.canonicalName == "sec-fetch-site" }?.value)
        {
            throw refusal
        }
        let (segments, query) = try AdminRequest.parse(target: request.head.path ?? "/")
        guard let (route, captures) = try find(segments) else { throw AdminError.notFound }
        if method == "OPTIONS" { return Self.options(route) }
        guard let action = route.action(method) else { throw AdminError.methodNotAllowed }
        var adminRequest = AdminRequest(method: method, segments: segments, query: query, authority: authority)
        if action.takesBody {
            adminRequest.body = try await Self.body(of: request)
            let type = request.headers[.contentType]
            guard Self.isJSON(type) || (type == nil && adminRequest.body.isEmpty) else {
                throw AdminError.unsupportedMediaType
            }
        }
        guard Self.accepts(request.headers[.accept], route.produces) else { throw AdminError.notAcceptable }
        return try await action.handler(adminRequest, captures)
    }

    private func find(_ segments: [String]) throws -> (Route, [String])? {
        for route in earlyRoutes {
            if let captures = route.captures(segments) { return (route, captures) }
        }
        switch readiness.phase {
        case .starting: throw AdminError(503, "Worker is starting up.")
        case .stopping: throw AdminError(503, "Worker is shutting down.")
        case .ready: break
        }
        for route in routes {
            if let captures = route.captures(segments) { return (route, captures) }
        }
        return nil
    }

    private static func options(_ route: Route) -> AdminResponse {
        let methods = route.allowedMethods
        var response = AdminResponse(
            status: 200, contentType: "text/plain", body: Array(methods.joined(separator: ", ").utf8))
        response.allow = methods.joined(separator: ",")
        return response
    }

    private static func body(of request: Request) async throws -> [UInt8] {
        let tooLarge = AdminError(413, "The body is larger than \(greatestBody) bytes")
        if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > greatestBody { throw tooLarge }
        var bytes: [UInt8] = []
        for try await buffer in request.body {
            bytes += buffer.readableBytesView
            if bytes.count > greatestBody { throw tooLarge }
        }
        return bytes
    }

    private static func isJSON(_ contentType: String?) -> Bool {
        guard let contentType else { return false }
        return mediaType(contentType[...]) == "application/json"
    }

    private static func mediaType(_ text: Substring) -> String {
        (text.split(separator: ";").first ?? "").filter { !$0.isWhitespace }.lowercased()
    }

    private static func accepts(_ accept: String?, _ produced: String) -> Bool {
        guard let accept, !accept.isEmpty else { return true }
        let family = produced.split(separator: "/").first.map { "\($0)/*" }
        return accept.split(separator: ",").map(mediaType).contains { $0 == "*/*" || $0 == produced || $0 == family }
    }

    private static func httpResponse(_ response: AdminResponse) -> Response {
        var headers = HTTPFields()
        if let contentType = response.contentType { headers[.contentType] = contentType }
        if let location = response.location { headers[.location] = location }
        if let allow = response.allow { headers[.allow] = allow }
        headers[.xContentTypeOptions] = "nosniff"
        return Response(
            status: .init(code: response.status), headers: headers,
            body: response.body.isEmpty ? .init() : .init(byteBuffer: ByteBuffer(bytes: response.body)))
    }
}
