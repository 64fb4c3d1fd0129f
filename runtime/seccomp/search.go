// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp

// join makes one segment of some: "a, one number b, a" is a with b as an exception
// where no frequent call would have to pass the test for b. Most profiles allow
// nearly everything in long rows, with a hole here and there.
func (c *compiler) join() {
	list := c.segments
	c.segments = list[:0]
	for i := 0; i < len(list); i++ {
		s := list[i]
		if i+2 < len(list) && list[i+2].decision == s.decision && list[i+1].from+1 == list[i+2].from && s.weight+list[i+1].weight+list[i+2].weight == 3 {
			s.exception, s.number = list[i+1].decision, list[i+1].from
			i += 2
		}
		c.segments = append(c.segments, s)
	}
}

// frequent are calls that most programs make often, and foremost those of them that
// they make most often: the search is balanced with them in view.
var frequent = [...]string{
	"access", "brk", "clock_gettime", "clock_nanosleep", "close", "epoll_pwait", "epoll_wait", "fadvise64", "fcntl", "fstat", "futex",
	"getdents64", "getpid", "getxattr", "ioctl", "lgetxattr", "lseek", "lstat", "mmap", "mmap2", "mprotect", "munmap", "nanosleep", "newfstatat",
	"open", "openat", "poll", "ppoll", "pread64", "read", "readlink", "readlinkat", "readv", "recvfrom", "recvmsg", "rt_sigaction",
	"rt_sigprocmask", "sendmsg", "sendto", "stat", "statx", "write", "writev",
}

var foremost = [...]string{"close", "fcntl", "fstat", "futex", "getdents64", "mmap", "newfstatat", "openat", "read", "write"}

// often notes how much more calls of a name weigh than others.
func (c *compiler) often(names []string, weight uint8) {
	for _, name := range names {
		c.names[indexOf(name)].weight += weight
	}
}

// weigh gives the segments of frequent calls more than the weight of 1.
func (c *compiler) weigh(a *Arch) {
	at := 0
	for _, call := range a.calls {
		for at+1 < len(c.segments) && c.segments[at+1].from <= call.number()|a.bit {
			at++
		}
		c.segments[at].weight += int32(c.names[call.name()].weight)
	}
}

// middle is where to divide segments so that both parts weigh much the same.
func middle(list []segment) int {
	rest := int32(0)
	for i := range list {
		rest += list[i].weight
	}
	left, at := list[0].weight, 1
	for rest -= left; at < len(list)-1; at++ {
		next := list[at].weight
		if max(left+next, rest-next) > max(left, rest) {
			break
		}
		left, rest = left+next, rest-next
	}
	return at
}

// search emits the search among segments, the number being loaded.
func (c *compiler) search(list []segment) int {
	if c.tooLong {
		return 0
	}
	if len(list) > 1 {
		middle := middle(list)
		above := c.search(list[middle:])
		below := c.search(list[:middle])
		return c.branch(opJGE, list[middle].from, above, below)
	}
	s := &list[0]
	rest := c.outcome(s.decision)
	if s.exception < 0 {
		return rest
	}
	return c.branch(opJEQ, s.number, c.outcome(s.exception), rest)
}

// outcome emits a decision, unless it is there.
func (c *compiler) outcome(i int16) int {
	d := &c.decisions[i]
	if len(d.tests) == 0 {
		return c.ret(d.ret)
	}
	made := &d.made[0]
	if c.little {
		made = &d.made[1]
	}
	if *made == 0 {
		*made = c.test(d)
	}
	return *made
}
