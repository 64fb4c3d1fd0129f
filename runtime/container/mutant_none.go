// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The coracle authors

//go:build !mutants

package container

import "github.com/coracle-oci/coracle/runtime/plan"

// mutated is the plan as it is, but in the builds of tests/mutants.
func mutated(p *plan.Plan) *plan.Plan { return p }

func mutatedExec(p *plan.Plan) *plan.Plan { return p }
