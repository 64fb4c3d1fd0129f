// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors
//
// What the running kernel makes of a filter, for tests and the bench; no part of
// the product. It reads one command a line:
//
//	filter PROGRAM           the filter of all calls that follow, in hex
//	call ABI NUMBER A0…A5    make a call, in a thread of a process of its own
//	loop COUNT NUMBER A0…A5  make it many times, and answer the nanoseconds
//
// ABI is 1 for the calls of i386. The answer to a call is one of
//
//	returned N               what the system call returned
//	trapped N NUMBER ARCH    by SIGSYS, with si_errno, si_syscall and si_arch
//	thread killed            the other thread of the process lives on
//	process killed
//
// Behind its call the thread makes no other: the filter may not allow any.
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static struct sock_filter filter[4096];
static struct sock_fprog program = {.filter = filter};

static struct {
	int abi;
	unsigned long count;
	uint64_t number, args[6];
} call;

// What the child tells the parent, in shared memory.
static volatile struct {
	enum { NOTHING, RETURNED, TRAPPED, THREAD_KILLED, NOT_LOADED } what;
	int64_t value, number, arch;
} *result;

static int64_t native(void)
{
	uint64_t *a = call.args;
#ifdef __x86_64__ // syscall(3) of some libcs knows no numbers of x32
	int64_t ret;
	register uint64_t r10 __asm__("r10") = a[3], r8 __asm__("r8") = a[4], r9 __asm__("r9") = a[5];
	__asm__ volatile("syscall" : "=a"(ret) : "a"(call.number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
	return ret;
#else
	long ret = syscall(call.number, a[0], a[1], a[2], a[3], a[4], a[5]);
	return ret == -1 ? -errno : ret;
#endif
}

static int64_t i386(void)
{
#ifdef __x86_64__
	uint64_t *a = call.args;
	int64_t ret;
	__asm__ volatile("mov %%rbp, %%r12; mov %[last], %%rbp; int $0x80; mov %%r12, %%rbp"
		: "=a"(ret) : "a"(call.number), "b"(a[0]), "c"(a[1]), "d"(a[2]), "S"(a[3]), "D"(a[4]), [last] "r"(a[5])
		: "r8", "r9", "r10", "r11", "r12", "memory");
	return (int32_t)ret;
#else
	return -ENOSYS;
#endif
}

static void trapped(int signal, siginfo_t *info, void *context)
{
	result->value = info->si_errno;
	result->number = info->si_syscall;
	result->arch = (uint32_t)info->si_arch;
	result->what = TRAPPED;
	__builtin_trap();
}

static void load(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)) {
		result->value = errno;
		result->what = NOT_LOADED;
		_exit(0);
	}
}

static void *filtered(void *unused)
{
	load();
	result->value = call.abi ? i386() : native();
	result->what = RETURNED;
	__builtin_trap(); // ends the process without a call
}

static int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t); // is no system call
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void *looping(void *unused)
{
	load();
	int64_t begin = now();
	for (unsigned long n = call.count; n > 0; n--)
		native();
	result->value = now() - begin;
	result->what = RETURNED;
	__builtin_trap();
}

static void child(void *run(void *))
{
	struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO};
	struct rlimit none = {0, 0};
	pthread_t thread;

	setrlimit(RLIMIT_CORE, &none);
	alarm(60);
	sigaction(SIGSYS, &action, NULL);
	if ((errno = pthread_create(&thread, NULL, run, NULL)))
		die("pthread_create");
	pthread_join(thread, NULL);
	result->what = THREAD_KILLED;
	_exit(0);
}

// inChild runs the thread in a child and prints what became of it.
static void inChild(void *run(void *))
{
	int status;

	result->what = NOTHING;
	pid_t pid = fork();
	if (pid == 0)
		child(run);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		die("fork");
	switch (result->what) {
	case RETURNED:
		printf("returned %" PRId64 "\n", result->value);
		return;
	case TRAPPED:
		printf("trapped %" PRId64 " %" PRId64 " %" PRId64 "\n", result->value, result->number, result->arch);
		return;
	case THREAD_KILLED:
		printf("thread killed\n");
		return;
	case NOT_LOADED:
		printf("not loaded: %s\n", strerror(result->value));
		return;
	case NOTHING:
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
			printf("process killed\n");
		else
			printf("ended with status %#x\n", status);
	}
}

static void parse(const char *hex)
{
	unsigned char *out = (unsigned char *)filter;
	size_t n = 0;

	for (unsigned byte; n < sizeof filter && sscanf(hex + 2 * n, "%2x", &byte) == 1; n++)
		out[n] = byte;
	program.len = n / sizeof *filter;
	printf("%d\n", program.len);
}

static int arguments(const char *line)
{
	uint64_t *a = call.args;
	return sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &call.number, a, a + 1, a + 2, a + 3, a + 4, a + 5) == 7;
}

int main(void)
{
	char *line = NULL;
	size_t room = 0;
	int used;

	result = mmap(NULL, sizeof *result, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (result == MAP_FAILED)
		die("mmap");
	while (getline(&line, &room, stdin) > 0) {
		if (!strncmp(line, "filter ", 7)) {
			parse(line + 7);
		} else if (sscanf(line, "call %d %n", &call.abi, &used) == 1 && arguments(line + used)) {
			inChild(filtered);
		} else if (sscanf(line, "loop %lu %n", &call.count, &used) == 1 && arguments(line + used)) {
			inChild(looping);
		} else {
			errno = EINVAL;
			die(line);
		}
		fflush(stdout);
	}
	return 0;
}
