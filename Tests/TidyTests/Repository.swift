import Foundation

/// The files of this repository, as the tests of this target read them.
enum Repository {
    static let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
        .deletingLastPathComponent()
        .deletingLastPathComponent()

    struct File: Sendable {
        /// Relative to the root.
        var path: String
        var text: String

        var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
        /// The folder names and the file name.
        var components: [Substring] { path.split(separator: "/") }
    }

    /// The files with this ending below some folders; what was built is left out. Sorted by path.
    static func files(_ ending: String, in folders: [String]) -> [File] {
        folders.flatMap { folder -> [File] in
            let base = root.appendingPathComponent(folder)
            let names = FileManager.default.enumerator(atPath: base.path)?.compactMap { $0 as? String } ?? []
            return names.filter { $0.hasSuffix(ending) && !$0.contains(".build") }.sorted().compactMap { name in
                read("\(folder)/\(name)")
            }
        }
    }

    static func read(_ path: String) -> File? {
        FileManager.default.contents(atPath: root.appendingPathComponent(path).path)
            .map { File(path: path, text: String(decoding: $0, as: UTF8.self)) }
    }

    static func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: root.appendingPathComponent(path).path)
    }

    static let productFolders = ["Sources", "connectors", "migrations"]

    /// What ships.
    static let productCode = files(".swift", in: productFolders).filter { !$0.path.contains("/MillraceTesting/") }
    static let allCode = files(".swift", in: productFolders + ["Tests"])
    static let documents =
        ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].compactMap { read($0) }
        + files(".md", in: ["docs", "connectors"])
    static let connectorFolders =
        ((try? FileManager.default.contentsOfDirectory(atPath: root.appendingPathComponent("connectors").path)) ?? [])
        .filter { name in
            var isFolder: ObjCBool = false
            let path = root.appendingPathComponent("connectors/\(name)").path
            // These are shared by connectors, and are none themselves.
            return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
                && !["envelope", "registry"].contains(name)
        }
        .sorted()
}
