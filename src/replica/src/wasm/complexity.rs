//! How long and how complex a function may be: the platform refuses what would take its compiler too long
//! (code: `wasm_function_complexity` of the validator).

use super::WasmError;
use crate::costs::limits;
use wasmparser::Operator;

/// The sums over the operators of one function.
#[derive(Default)]
pub(crate) struct FunctionWeight {
    operators: u64,
    complexity: u64,
}

impl FunctionWeight {
    /// Adds an operator of function `index`. Errors if the platform does not support it.
    pub(crate) fn add(&mut self, index: usize, operator: &Operator<'_>) -> Result<(), WasmError> {
        let Some(complexity) = complexity(operator) else {
            return Err(WasmError::Function(format!(
                "Function at index {index} contains an unsupported instruction: {operator:?}"
            )));
        };
        self.operators += 1;
        self.complexity += complexity;
        Ok(())
    }

    /// Errors if the whole function is more than the platform takes.
    pub(crate) fn check(&self, index: usize) -> Result<(), WasmError> {
        if self.complexity > limits::FUNCTION_COMPLEXITY {
            return Err(WasmError::Function(format!(
                "Function at index {index} has complexity {}, at most {} is allowed",
                self.complexity,
                limits::FUNCTION_COMPLEXITY
            )));
        }
        if self.operators > limits::FUNCTION_OPERATORS {
            return Err(WasmError::Function(format!(
                "Function at index {index} has {} instructions, at most {} are allowed",
                self.operators,
                limits::FUNCTION_OPERATORS
            )));
        }
        Ok(())
    }
}

/// The complexity of an operator; `None` for one that changes tables, which canisters cannot.
fn complexity(operator: &Operator<'_>) -> Option<u64> {
    use Operator as O;
    Some(match operator {
        O::TableGrow { .. }
        | O::TableSet { .. }
        | O::TableFill { .. }
        | O::TableCopy { .. }
        | O::TableInit { .. } => return None,
        O::Block { .. }
        | O::Loop { .. }
        | O::If { .. }
        | O::Br { .. }
        | O::BrIf { .. }
        | O::BrTable { .. }
        | O::Call { .. }
        | O::CallIndirect { .. }
        | O::MemoryGrow { .. } => 50,
        O::TableGet { .. } => 14,
        O::RefFunc { .. } => 8,
        O::RefIsNull => 6,
        O::I32TruncF32S
        | O::I32TruncF32U
        | O::I32TruncF64S
        | O::I32TruncF64U
        | O::I64ExtendI32S
        | O::I64ExtendI32U
        | O::I64TruncF32S
        | O::I64TruncF32U
        | O::I64TruncF64S
        | O::I64TruncF64U
        | O::F32ConvertI32S
        | O::F32ConvertI32U
        | O::F32ConvertI64S
        | O::F32ConvertI64U
        | O::F32DemoteF64
        | O::F64ConvertI32S
        | O::F64ConvertI32U
        | O::F64ConvertI64S
        | O::F64ConvertI64U => 5,
        O::F32Neg | O::F32Abs | O::F64Neg | O::F64Abs | O::MemoryCopy { .. } => 4,
        O::F32Copysign
        | O::F64Copysign
        | O::F64Eq
        | O::I32RemU
        | O::I32RemS
        | O::I64RemU
        | O::I64RemS
        | O::I32DivU
        | O::I32DivS
        | O::I64DivU
        | O::I64DivS
        | O::MemoryFill { .. }
        | O::I32Load { .. }
        | O::I64Load { .. }
        | O::F32Load { .. }
        | O::F64Load { .. }
        | O::I32Load8S { .. }
        | O::I32Load8U { .. }
        | O::I32Load16S { .. }
        | O::I32Load16U { .. }
        | O::I64Load8S { .. }
        | O::I64Load8U { .. }
        | O::I64Load16S { .. }
        | O::I64Load16U { .. }
        | O::I64Load32S { .. }
        | O::I64Load32U { .. }
        | O::I32TruncSatF32S
        | O::I32TruncSatF32U
        | O::I32TruncSatF64S
        | O::I32TruncSatF64U
        | O::I64TruncSatF32S
        | O::I64TruncSatF32U
        | O::I64TruncSatF64S
        | O::I64TruncSatF64U => 3,
        other if counts_two(other) => 2,
        _ => 1,
    })
}

fn counts_two(operator: &Operator<'_>) -> bool {
    use Operator as O;
    matches!(
        operator,
        O::GlobalGet { .. }
            | O::I32Popcnt
            | O::I64Popcnt
            | O::Select
            | O::MemorySize { .. }
            | O::I32Store { .. }
            | O::I32Store16 { .. }
            | O::I32Store8 { .. }
            | O::I64Store { .. }
            | O::I64Store32 { .. }
            | O::I64Store16 { .. }
            | O::I64Store8 { .. }
            | O::F64Store { .. }
            | O::F32Store { .. }
            | O::I32Eqz
            | O::I32Eq
            | O::I32Ne
            | O::I32LtS
            | O::I32LtU
            | O::I32GtS
            | O::I32GtU
            | O::I32LeS
            | O::I32LeU
            | O::I32GeS
            | O::I32GeU
            | O::I64Eqz
            | O::I64Eq
            | O::I64Ne
            | O::I64LtS
            | O::I64LtU
            | O::I64GtS
            | O::I64GtU
            | O::I64LeS
            | O::I64LeU
            | O::I64GeS
            | O::I64GeU
            | O::F32Eq
            | O::F32Ne
            | O::F32Lt
            | O::F32Gt
            | O::F32Le
            | O::F32Ge
            | O::F64Ne
            | O::F64Lt
            | O::F64Gt
            | O::F64Le
            | O::F64Ge
            | O::F32Ceil
            | O::F64Ceil
            | O::F32Floor
            | O::F64Floor
            | O::F32Sqrt
            | O::F64Sqrt
            | O::F32Trunc
            | O::F64Trunc
            | O::I32ReinterpretF32
            | O::I64ReinterpretF64
            | O::F32ReinterpretI32
            | O::F64ReinterpretI64
            | O::I32WrapI64
            | O::I32Extend8S
            | O::I32Extend16S
            | O::I64Extend8S
            | O::I64Extend16S
            | O::I64Extend32S
            | O::F64PromoteF32
    )
}
