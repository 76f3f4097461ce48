// killed_at_call NUMBER PROGRAM ARGUMENT...
// Runs the program and kills it right before the call of this number, from 1, that changes a file. Ends with 137 then,
// else as the program did. What the program starts is left alone.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/ptrace.h>

// Whether a descriptor is a file and no pipe, event or device.
static int is_file(pid_t process, unsigned long descriptor) {
    char path[64], name[8] = "";
    snprintf(path, sizeof path, "/proc/%d/fd/%lu", process, descriptor);
    ssize_t length = readlink(path, name, sizeof name - 1);
    name[length < 0 ? 0 : length] = 0;
    return name[0] == '/' && !(name[1] == 'd' && name[2] == 'e' && name[3] == 'v' && name[5] != 's');
}

static int changes_a_file(pid_t process, const struct ptrace_syscall_info *call) {
    switch (call->entry.nr) {
    case SYS_openat:
        return (call->entry.args[2] & (O_CREAT | O_WRONLY | O_RDWR)) != 0;
    case SYS_write: case SYS_writev: case SYS_pwrite64: case SYS_ftruncate: case SYS_fallocate: case SYS_fsync:
    case SYS_fdatasync: case SYS_fchmod:
        return is_file(process, call->entry.args[0]);
    case SYS_renameat: case SYS_renameat2: case SYS_linkat: case SYS_unlinkat: case SYS_mkdirat: case SYS_fchmodat:
    case SYS_memfd_create:
#ifdef SYS_rename
    case SYS_rename: case SYS_link: case SYS_unlink: case SYS_mkdir: case SYS_rmdir: case SYS_chmod:
#endif
        return 1;
    default:
        return 0;
    }
}

int main(int count, char **arguments) {
    long last = count > 2 ? atol(arguments[1]) : 0, calls = 0;
    pid_t program = fork();
    if (program == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execv(arguments[2], arguments + 2);
        _exit(127);
    }
    int status, result = 1;
    waitpid(program, &status, 0);
    ptrace(PTRACE_SETOPTIONS, program, 0,
           PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL);
    ptrace(PTRACE_SYSCALL, program, 0, 0);
    for (pid_t thread; (thread = waitpid(-1, &status, __WALL)) > 0;) {
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (thread == program) result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            continue;
        }
        long signal = WSTOPSIG(status);
        if (signal == (SIGTRAP | 0x80)) {
            struct ptrace_syscall_info call;
            signal = 0;
            ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof call, &call);
            if (call.op == PTRACE_SYSCALL_INFO_ENTRY && changes_a_file(program, &call) && ++calls == last)
                kill(program, SIGKILL);
        } else if (status >> 16 || signal == SIGSTOP) {
            signal = 0;
        }
        ptrace(PTRACE_SYSCALL, thread, 0, signal);
    }
    return result;
}
