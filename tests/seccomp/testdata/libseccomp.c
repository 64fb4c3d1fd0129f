// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors
//
// What libseccomp makes of a profile, for the differential test; no part of the
// product. It reads one command a line:
//
//	begin ACTION NATIVE      a new filter with this default, for the machine if NATIVE is 1
//	arch TOKEN               and for another
//	rule ACTION NAME [ARG OP A B]…
//	end OPTIMIZE             answer "PROGRAM NANOSECONDS", the program in hex
//	resolve TOKEN NAME       answer its number
//
// Numbers are decimal. The nanoseconds are what the calls for this filter took.
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void die(const char *what, int err)
{
	fprintf(stderr, "%s: %s\n", what, strerror(-err));
	exit(1);
}

static int64_t took;

static int rule(scmp_filter_ctx ctx, char *line)
{
	char name[64];
	uint32_t action;
	int used;
	struct scmp_arg_cmp args[6];
	unsigned n = 0;

	if (sscanf(line, "%" SCNu32 " %63s%n", &action, name, &used) != 2)
		return -EINVAL;
	for (line += used; n < 6; line += used, n++)
		if (sscanf(line, "%u %d %" SCNu64 " %" SCNu64 "%n", &args[n].arg, (int *)&args[n].op, &args[n].datum_a, &args[n].datum_b, &used) != 4)
			break;
	int64_t begin = now();
	int number = seccomp_syscall_resolve_name(name);
	int err = number == __NR_SCMP_ERROR ? 0 : seccomp_rule_add_array(ctx, action, number, n, args);
	took += now() - begin;
	return err;
}

static void end(scmp_filter_ctx ctx, int optimize)
{
	unsigned char *program;
	int fd = memfd_create("bpf", MFD_CLOEXEC), err;

	int64_t begin = now();
	if ((err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, optimize)))
		die("optimize", err);
	if ((err = seccomp_export_bpf(ctx, fd)))
		die("export", err);
	took += now() - begin;
	off_t size = lseek(fd, 0, SEEK_END);
	program = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	for (off_t i = 0; i < size; i++)
		printf("%02x", program[i]);
	printf(" %" PRId64 "\n", took);
	munmap(program, size);
	close(fd);
	seccomp_release(ctx);
}

int main(void)
{
	char *line = NULL;
	size_t room = 0;
	scmp_filter_ctx ctx = NULL;
	int native = 0, err = 0;

	while (getline(&line, &room, stdin) > 0) {
		char name[64];
		uint32_t n;
		int64_t begin;
		if (sscanf(line, "begin %" SCNu32 " %d", &n, &native) == 2) {
			begin = now();
			ctx = seccomp_init(n);
			took = now() - begin;
			if (!native)
				err = seccomp_arch_remove(ctx, SCMP_ARCH_NATIVE);
		} else if (sscanf(line, "arch %" SCNu32, &n) == 1) {
			begin = now();
			err = seccomp_arch_add(ctx, n);
			took += now() - begin;
			if (err == -EEXIST)
				err = 0;
		} else if (!strncmp(line, "rule ", 5)) {
			err = rule(ctx, line + 5);
		} else if (sscanf(line, "end %" SCNu32, &n) == 1) {
			end(ctx, n);
		} else if (sscanf(line, "resolve %" SCNu32 " %63s", &n, name) == 2) {
			printf("%d\n", seccomp_syscall_resolve_name_arch(n, name));
		} else {
			err = -EINVAL;
		}
		if (err)
			die(line, err);
		fflush(stdout);
	}
	return 0;
}
