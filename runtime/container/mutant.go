// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

//go:build mutants

package container

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/coracle-oci/coracle/runtime/plan"
)

// mutated leaves a step out of a plan: the one that CORACLE_DROP names, as
// "step 12" or "host 3". Only the builds of tests/mutants have it.
func mutated(p *plan.Plan) *plan.Plan {
	return without(p, os.Getenv("CORACLE_DROP"))
}

// mutatedExec does so for exec.
func mutatedExec(p *plan.Plan) *plan.Plan { return without(p, os.Getenv("CORACLE_DROP_EXEC")) }

func without(p *plan.Plan, what string) *plan.Plan {
	kind, number, _ := strings.Cut(what, " ")
	i, err := strconv.Atoi(number)
	switch {
	case kind == "":
		return p
	case err != nil:
		panic("CORACLE_DROP: " + err.Error())
	case kind == "host":
		p.Host = slices.Delete(p.Host, i, i+1)
		return p
	}
	p.Init.Steps = slices.Delete(p.Init.Steps, i, i+1)
	for n, to := range p.Init.Labels {
		p.Init.Labels[n] = before(to, i)
	}
	for n := range p.Gates {
		p.Gates[n].Step = before(p.Gates[n].Step, i)
	}
	p.Accept, p.Execve, p.Terminal, p.Listener = before(p.Accept, i), before(p.Execve, i), before(p.Terminal, i), before(p.Listener, i)
	return p
}

// before is where a step is when step dropped is gone.
func before(step, dropped int) int {
	if step > dropped {
		return step - 1
	}
	return step
}
