import ArgumentParser
import Glibc
import Logging
import MillraceAdmin
import MillraceCore
import MillraceRuntime

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "serve", abstract: "Run the server.")

    @Option(help: "JSON file with the settings below, and `connectors` to create if they do not exist.")
    var config: String?

    @Option(help: "Folder for the catalog and the change logs (default: ./millrace-data).")
    var dataDir: String?

    @Option(help: "HOST:PORT of the REST interface (default: 127.0.0.1:8083).")
    var listen: String?

    @Flag(help: "Allow --listen on an address that other machines can reach, without any authentication.")
    var insecureListen = false

    @Option(help: "text or json (default: text on a terminal, json elsewhere).")
    var logFormat: String?

    @Option(help: "off, fatal, error, warn, info, debug or trace (default: info).")
    var logLevel: String?

    func run() async throws {
        let settings = try readSettings()
        LargeBuffers.giveBackWhenFreed()
        let levels = LogLevels(settings.logLevel)
        let format = settings.logFormat
        LoggingSystem.bootstrap { StderrLogHandler(label: $0, format: format, levels: levels) }
        let logger = Logger(label: "millrace.server")
        let signals = SignalWatch()
        let worker: Worker
        do {
            worker = try Worker(
                dataDirectory: settings.dataDirectory, workerID: "\(settings.host):\(settings.port)",
                plugins: Build.plugins, version: Build.info.version, logger: Logger(label: "millrace.worker"))
        } catch {
            logger.critical("the data directory cannot be used", metadata: ["error": "\(error)"])
            throw ExitCode.dataDirectory
        }
        try await Server(settings: settings, worker: worker, levels: levels, signals: signals, logger: logger).run()
    }

    private func readSettings() throws -> ServerSettings {
        let options = [
            "data-dir": dataDir, "listen": listen, "insecure-listen": insecureListen ? "true" : nil,
            "log-format": logFormat, "log-level": logLevel,
        ]
        do {
            return try ServerSettings(file: config) { options[$0] ?? nil }
        } catch let fault as ServerSettings.Fault {
            Output.error(fault.description)
            throw ExitCode.badConfiguration
        }
    }
}

/// One run of the server: from listening to the last fsync.
private struct Server {
    /// Of the ten seconds that a stop may take; the rest is for HTTP and for leaving.
    private static let drainTime = Duration.seconds(8)
    private static let stopTime = Duration.milliseconds(9500)

    let settings: ServerSettings
    let worker: Worker
    let levels: LogLevels
    let signals: SignalWatch
    let logger: Logger

    private enum Event: Sendable {
        case listening(Int)
        case httpEnded(String?)
        case signal
    }

    func run() async throws {
        let (events, feed) = AsyncStream.makeStream(of: Event.self)
        let admin = AdminServer(
            worker: worker, levels: levels, build: Build.info,
            requestGuard: RequestGuard(listenHost: settings.host, isOpen: settings.isInsecureListenAllowed),
            logger: Logger(label: "millrace.admin"))
        try checkConnectors(admin.checker)
        signals.onFirst { feed.yield(.signal) }
        Task {
            do {
                try await admin.run(host: settings.host, port: settings.port) { feed.yield(.listening($0)) }
                feed.yield(.httpEnded(nil))
            } catch {
                feed.yield(.httpEnded("\(error)"))
            }
        }
        var hasStarted = false
        for await event in events {
            switch event {
            case .listening(let port):
                logger.notice("listening", metadata: ["address": "\(settings.host):\(port)"])
                guard !hasStarted else { continue }
                hasStarted = true
                try await start()
                admin.readiness.phase = .ready
            case .httpEnded(let error):
                logger.critical("cannot listen", metadata: ["error": "\(error ?? "ended")"])
                if hasStarted { await worker.stop(within: Self.drainTime) }
                throw ExitCode.cannotListen
            case .signal:
                logger.notice("stopping; a second signal ends the server at once")
                admin.readiness.phase = .stopping
                leaveInTime()
                await worker.stop(within: Self.drainTime)
                logger.notice("stopped")
                // What still runs is HTTP, which has nothing to lose.
                exit(0)
            }
        }
    }

    /// Ends the process if draining hangs: what is not durable by then comes again after the next start.
    private func leaveInTime() {
        let logger = logger
        _ = WorkerThread("stop-limit") {
            _ = Monitor(false).wait(for: Self.stopTime) { $0 ? true : nil }
            logger.error("draining took too long; leaving without it")
            _exit(1)
        }
    }

    private func start() async throws {
        do {
            try await worker.start()
        } catch {
            logger.critical("the data directory cannot be used", metadata: ["error": "\(error)"])
            throw ExitCode.dataDirectory
        }
        let existing = Set(await worker.connectorNames())
        for connector in settings.connectors where !existing.contains(connector.name) {
            let info = try await worker.create(name: connector.name, config: ConnectorConfig(connector.config))
            logger.notice("connector created from the settings", metadata: ["connector": "\(info.name)"])
        }
    }

    /// Before anything runs. The other systems are not asked: they may come up later than we do.
    private func checkConnectors(_ checker: ConfigChecker) throws {
        for connector in settings.connectors {
            do {
                let report = try checker.properties(connector.config)
                for warning in report.warnings {
                    logger.warning("\(warning.message)", metadata: ["connector": "\(connector.name)"])
                }
                guard let refusal = report.refusal else { continue }
                Output.error("connector '\(connector.name)': \(refusal)")
            } catch {
                Output.error("connector '\(connector.name)': \(error.message)")
            }
            throw ExitCode.badConfiguration
        }
    }
}
