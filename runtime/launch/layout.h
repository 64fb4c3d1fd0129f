// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

// The image as the interpreter sees it; image.go has the same in Go, and a test
// compares them.

#define HEADER 0x600400
#define STEPS  0x600410

#define header_step   0
#define header_errno  4
#define header_report 8
#define header_exit   12

#define STEP_SIZE      80
#define step_number    0
#define step_arg0      8
#define step_arg1      16
#define step_arg2      24
#define step_arg3      32
#define step_arg4      40
#define step_arg5      48
#define step_registers 56
#define step_result    60
#define step_expected  64
#define step_target    72

#define MSG_NOSIGNAL 0x4000
