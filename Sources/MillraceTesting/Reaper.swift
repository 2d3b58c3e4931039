import Foundation
import Glibc
import MillraceCore

/// Ends what the tests started, also when the test process is killed: a shell that holds the other end of a pipe and
/// acts when it is closed.
final class Reaper: Sendable {
    static let shared = Reaper()

    /// Write end of the pipe; -1 where no shell could be started.
    private let pipe: Monitor<Int32>

    private static let script = """
        trap '' INT TERM HUP
        running=''
        folders=''
        while read -r verb value signal; do
            case $verb in
            watch) running="$running $value:$signal" ;;
            forget)
                left=''
                for each in $running; do [ "${each%:*}" = "$value" ] || left="$left $each"; done
                running=$left ;;
            folder) folders="$folders $value" ;;
            esac
        done
        for each in $running; do kill -CONT "${each%:*}"; kill "-${each#*:}" "${each%:*}"; done
        tries=50
        for each in $running; do
            while [ $tries -gt 0 ] && kill -0 "${each%:*}"; do sleep 0.1; tries=$((tries - 1)); done
            kill -KILL "${each%:*}"
        done
        for each in $folders; do ! mountpoint -q "$each" || umount -l "$each"; done
        [ -n "$MILLRACE_KEEP" ] || rm -rf -- $folders
        """

    private init() {
        var ends: [Int32] = [-1, -1]
        guard Glibc.pipe(&ends) == 0 else {
            pipe = Monitor(-1)
            return
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        closeOthers(&actions)
        var argv = copyForC(["sh", "-c", Reaper.script])
        var envp = copyForC(ProcessInfo.processInfo.environment.map { "\($0.key)=\($0.value)" })
        var pid: pid_t = 0
        let status = posix_spawn(&pid, "/bin/sh", &actions, nil, &argv, &envp)
        for pointer in argv + envp { free(pointer) }
        posix_spawn_file_actions_destroy(&actions)
        close(ends[0])
        pipe = Monitor(status == 0 ? ends[1] : -1)
    }

    func watch(_ pid: pid_t, signal: Int32) { tell("watch \(pid) \(signal)") }
    func forget(_ pid: pid_t) { tell("forget \(pid)") }
    func watch(folder: String) { tell("folder \(folder)") }

    /// One line, shorter than a pipe's atomic write.
    private func tell(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        pipe.update { if $0 >= 0 { _ = write($0, bytes, bytes.count) } }
    }
}
