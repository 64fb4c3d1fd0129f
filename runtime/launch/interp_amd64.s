// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

#include "textflag.h"
#include "layout.h"

// interp runs the steps behind a header. It is copied out of this binary into the
// ELF image that package launch writes; it must not touch the stack, which
// belongs to nobody, and refer to nothing outside itself.
//
//	R12 the header; 0, as the kernel starts a program: HEADER
//	BX  the current step
//	AX  number, then result of its call
TEXT ·interp(SB), NOSPLIT|NOFRAME, $0-0
	TESTQ R12, R12
	JNZ  begin
	MOVL $HEADER, R12
begin:
	LEAQ (STEPS-HEADER)(R12), BX
step:
	MOVQ step_arg0(BX), DI
	MOVQ step_arg1(BX), SI
	MOVQ step_arg2(BX), DX
	MOVQ step_arg3(BX), R10
	MOVQ step_arg4(BX), R8
	MOVQ step_arg5(BX), R9
	MOVL step_registers(BX), AX // bit n: argument n is the address of a register
	TESTL $1, AX
	JZ   arg1
	MOVQ (DI), DI
arg1:
	TESTL $2, AX
	JZ   arg2
	MOVQ (SI), SI
arg2:
	TESTL $4, AX
	JZ   arg3
	MOVQ (DX), DX
arg3:
	TESTL $8, AX
	JZ   arg4
	MOVQ (R10), R10
arg4:
	TESTL $16, AX
	JZ   arg5
	MOVQ (R8), R8
arg5:
	TESTL $32, AX
	JZ   call
	MOVQ (R9), R9
call:
	MOVQ step_number(BX), AX
	SYSCALL                     // clobbers CX and R11
	MOVL step_result(BX), CX    // where the result is kept; 0: nowhere
	TESTL CX, CX
	JZ   branch
	MOVQ AX, (CX)
branch:
	MOVQ step_target(BX), CX    // where to continue; 0: no branch
	TESTQ CX, CX
	JZ   next
	CMPQ AX, step_expected(BX)
	JNE  next
	MOVQ CX, BX
	JMP  step
next:
	TESTQ AX, AX
	JS   failed
	ADDQ $STEP_SIZE, BX
	JMP  step
failed:
	MOVQ R12, SI                // {address of the step, errno} to the report
	MOVL BX, header_step(SI)
	NEGQ AX
	MOVL AX, header_errno(SI)
	MOVL header_report(SI), DI
	MOVL $8, DX
	MOVL $MSG_NOSIGNAL, R10
	XORL R8, R8
	XORL R9, R9
	MOVL $44, AX                // sendto
	SYSCALL
	MOVL $1, DI
	MOVL header_exit(R12), AX
	SYSCALL
	INT  $3

// interpEnd marks the end of interp.
TEXT ·interpEnd(SB), NOSPLIT|NOFRAME, $0-0
	RET

// func bounds() (start, end uintptr)
//
// LEAQ gives the real addresses; Go's func values give those of wrappers.
TEXT ·bounds(SB), NOSPLIT, $0-16
	LEAQ ·interp(SB), AX
	MOVQ AX, start+0(FP)
	LEAQ ·interpEnd(SB), AX
	MOVQ AX, end+8(FP)
	RET

// func startThread(flags, header uintptr, ended *uint32) (tid int)
//
// The thread begins with the registers and the stack pointer of its creator, and
// uses the former only.
TEXT ·startThread(SB), NOSPLIT, $0-32
	MOVQ flags+0(FP), DI
	MOVQ header+8(FP), R12
	XORL SI, SI
	XORL DX, DX
	MOVQ ended+16(FP), R10      // child_tid
	XORL R8, R8
	MOVL $56, AX                // clone
	SYSCALL
	TESTQ AX, AX
	JNZ  creator
	JMP  ·interp(SB)
creator:
	MOVQ AX, tid+24(FP)
	RET
