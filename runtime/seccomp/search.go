// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

package seccomp

import "sort"

// A leaf of the search is a range of numbers that fare alike, or all but one do:
// most profiles allow nearly everything in long rows, with a hole here and there.
type leaf struct {
	from      uint32
	weight    int32
	decision  int32
	exception int32 // the decision for number; -1: there is none
	number    uint32
}

// join makes leaves of the segments: "a, one number b, a" is one leaf where no
// frequent call would have to pass the test for b.
func (c *compiler) join() {
	list := c.segments
	c.leaves = c.leaves[:0]
	for i := 0; i < len(list); i++ {
		l := leaf{from: list[i].from, decision: list[i].decision, exception: -1, weight: list[i].weight}
		if i+2 < len(list) && list[i+2].decision == l.decision && list[i+1].from+1 == list[i+2].from && list[i].weight+list[i+1].weight+list[i+2].weight == 3 {
			l.exception, l.number = list[i+1].decision, list[i+1].from
			i += 2
		}
		c.leaves = append(c.leaves, l)
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

// weigh gives the segments of frequent calls more than the weight of 1.
func (c *compiler) weigh(a *Arch) {
	const often, most = 64, 128
	list := c.segments
	add := func(names []string, weight int32) {
		for _, name := range names {
			if n, ok := a.Number(name); ok {
				list[sort.Search(len(list), func(i int) bool { return list[i].from > n })-1].weight += weight
			}
		}
	}
	add(frequent[:], often)
	add(foremost[:], most)
}

// middle is where to divide leaves so that both parts weigh much the same.
func middle(list []leaf) int {
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

// search emits the search among leaves, the number being loaded.
func (c *compiler) search(list []leaf) int {
	if c.tooLong {
		return 0
	}
	if len(list) > 1 {
		middle := middle(list)
		above := c.search(list[middle:])
		below := c.search(list[:middle])
		return c.branch(opJGE, list[middle].from, above, below)
	}
	l := &list[0]
	rest := c.outcome(l.decision)
	if l.exception < 0 {
		return rest
	}
	return c.branch(opJEQ, l.number, c.outcome(l.exception), rest)
}

// outcome emits a decision, unless it is there.
func (c *compiler) outcome(i int32) int {
	d := &c.decisions[i]
	if len(d.tests) == 0 {
		return c.ret(d.ret)
	}
	if d.made == 0 {
		d.made = c.test(d)
	}
	return d.made
}
