package import MillraceRuntime

package struct AdminResponse: Sendable {
    package var status: Int
    package var contentType: String?
    package var location: String?
    package var allow: String?
    package var body: [UInt8]

    package init(status: Int, contentType: String? = nil, body: [UInt8] = []) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }

    package static func json(_ tree: JSONTree, status: Int = 200) -> AdminResponse {
        AdminResponse(status: status, contentType: "application/json", body: JSONText.bytes(tree))
    }

    package static func empty(_ status: Int) -> AdminResponse {
        AdminResponse(status: status)
    }

    package static func error(_ error: AdminError) -> AdminResponse {
        var response = json(
            ["error_code": .int(Int64(error.status)), "message": .string(error.message)], status: error.status)
        if error.isFrameworkLevel { response.contentType = nil }
        return response
    }
}
