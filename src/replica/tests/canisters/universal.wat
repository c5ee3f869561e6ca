;; The universal canister: every entry point runs a script that came with a message, so that a test says what
;; a canister does where it says what it expects. `support/script.rs` writes scripts.
;;
;; A script is a sequence of operations of one byte, the index of a function in the table below; `int` and
;; `blob` are followed by their literal, `repeat` and `when` by a script. Operations take their operands from
;; a stack of i64 and leave their result there. A blob on the stack is its address in the high and its size in
;; the low half.
;;
;; Heap: 0 scratch · 64 sixteen slots · 256 the five hooks · 1,024 the stack · 16,384 the arena. What a
;; message puts into the arena stays there for its callbacks: nothing is ever freed.
(module
  (import "ic0" "msg_arg_data_size" (func $ic_arg_size (result i32)))
  (import "ic0" "msg_arg_data_copy" (func $ic_arg_copy (param i32 i32 i32)))
  (import "ic0" "msg_caller_size" (func $ic_caller_size (result i32)))
  (import "ic0" "msg_caller_copy" (func $ic_caller_copy (param i32 i32 i32)))
  (import "ic0" "msg_reject_code" (func $ic_reject_code (result i32)))
  (import "ic0" "msg_reject_msg_size" (func $ic_reject_msg_size (result i32)))
  (import "ic0" "msg_reject_msg_copy" (func $ic_reject_msg_copy (param i32 i32 i32)))
  (import "ic0" "msg_deadline" (func $ic_deadline (result i64)))
  (import "ic0" "msg_reply_data_append" (func $ic_append (param i32 i32)))
  (import "ic0" "msg_reply" (func $ic_reply))
  (import "ic0" "msg_reject" (func $ic_reject (param i32 i32)))
  (import "ic0" "msg_cycles_available128" (func $ic_available (param i32)))
  (import "ic0" "msg_cycles_refunded128" (func $ic_refunded (param i32)))
  (import "ic0" "msg_cycles_accept128" (func $ic_accept (param i64 i64 i32)))
  (import "ic0" "cycles_burn128" (func $ic_burn (param i64 i64 i32)))
  (import "ic0" "canister_self_size" (func $ic_self_size (result i32)))
  (import "ic0" "canister_self_copy" (func $ic_self_copy (param i32 i32 i32)))
  (import "ic0" "canister_cycle_balance128" (func $ic_balance (param i32)))
  (import "ic0" "canister_liquid_cycle_balance128" (func $ic_liquid (param i32)))
  (import "ic0" "canister_status" (func $ic_status (result i32)))
  (import "ic0" "canister_version" (func $ic_version (result i64)))
  (import "ic0" "subnet_self_size" (func $ic_subnet_size (result i32)))
  (import "ic0" "subnet_self_copy" (func $ic_subnet_copy (param i32 i32 i32)))
  (import "ic0" "msg_method_name_size" (func $ic_method_name_size (result i32)))
  (import "ic0" "msg_method_name_copy" (func $ic_method_name_copy (param i32 i32 i32)))
  (import "ic0" "accept_message" (func $ic_accept_message))
  (import "ic0" "call_new" (func $ic_call_new (param i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "ic0" "call_on_cleanup" (func $ic_call_on_cleanup (param i32 i32)))
  (import "ic0" "call_data_append" (func $ic_call_append (param i32 i32)))
  (import "ic0" "call_with_best_effort_response" (func $ic_call_best_effort (param i32)))
  (import "ic0" "call_cycles_add128" (func $ic_call_cycles (param i64 i64)))
  (import "ic0" "call_perform" (func $ic_call_perform (result i32)))
  (import "ic0" "stable64_size" (func $ic_stable_size (result i64)))
  (import "ic0" "stable64_grow" (func $ic_stable_grow (param i64) (result i64)))
  (import "ic0" "stable64_write" (func $ic_stable_write (param i64 i64 i64)))
  (import "ic0" "stable64_read" (func $ic_stable_read (param i64 i64 i64)))
  (import "ic0" "certified_data_set" (func $ic_certify (param i32 i32)))
  (import "ic0" "data_certificate_present" (func $ic_certificate_present (result i32)))
  (import "ic0" "time" (func $ic_time (result i64)))
  (import "ic0" "global_timer_set" (func $ic_timer (param i64) (result i64)))
  (import "ic0" "performance_counter" (func $ic_counter (param i32) (result i64)))
  (import "ic0" "is_controller" (func $ic_is_controller (param i32 i32) (result i32)))
  (import "ic0" "in_replicated_execution" (func $ic_replicated (result i32)))
  (import "ic0" "cost_call" (func $ic_cost_call (param i64 i64 i32)))
  (import "ic0" "cost_create_canister" (func $ic_cost_create (param i32)))
  (import "ic0" "debug_print" (func $ic_print (param i32 i32)))
  (import "ic0" "trap" (func $ic_trap (param i32 i32)))

  (memory (export "memory") 1)
  (global $sp (mut i32) (i32.const 1024))
  (global $top (mut i32) (i32.const 16384))
  (global $pc (mut i32) (i32.const 0))
  ;; The blob that was popped last.
  (global $at (mut i32) (i32.const 0))
  (global $size (mut i32) (i32.const 0))
  (type $op (func))

  ;; Index 0 is every callback; the others are the operations, known to `script.rs` by their position here.
  (table funcref (elem $callback
    $int $blob $zeros $drop $add $not $same $load $length $get $set $repeat $when $eval
    $append $append_int $reply $reject $arg $caller $reject_code $reject_msg $deadline
    $available $refunded $accept $burn $balance $liquid
    $self $subnet $status $version $time $timer $counter $is_controller $replicated
    $call_new $call_append $call_cycles $call_best_effort $call_on_cleanup $call_perform
    $stable_size $stable_grow $stable_read $stable_write
    $certify $certificate_present $cost_call $cost_create
    $print $trap $unreachable $spin $grow_heap $overflow_stack
    $hook $method_name $accept_message))

  ;; The machine

  (func $push (param i64)
    (if (i32.ge_u (global.get $sp) (i32.const 16384)) (then unreachable))
    (i64.store (global.get $sp) (local.get 0))
    (global.set $sp (i32.add (global.get $sp) (i32.const 8))))
  (func $pop (result i64)
    (if (i32.le_u (global.get $sp) (i32.const 1024)) (then unreachable))
    (global.set $sp (i32.sub (global.get $sp) (i32.const 8)))
    (i64.load (global.get $sp)))
  (func $push32 (param i32) (call $push (i64.extend_i32_u (local.get 0))))
  (func $pop32 (result i32) (i32.wrap_i64 (call $pop)))
  (func $push_blob (param $at i32) (param $size i32)
    (call $push (i64.or
      (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32)) (i64.extend_i32_u (local.get $size)))))
  (func $pop_blob (local $blob i64)
    (local.set $blob (call $pop))
    (global.set $at (i32.wrap_i64 (i64.shr_u (local.get $blob) (i64.const 32))))
    (global.set $size (i32.wrap_i64 (local.get $blob))))
  ;; The low half of 128 bits at address 0.
  (func $push_cycles (call $push (i64.load (i32.const 0))))
  (func $alloc (param $size i32) (result i32) (local $at i32) (local $missing i32)
    (local.set $at (global.get $top))
    (global.set $top (i32.add (local.get $at) (local.get $size)))
    (local.set $missing (i32.sub (global.get $top) (i32.shl (memory.size) (i32.const 16))))
    (if (i32.gt_s (local.get $missing) (i32.const 0)) (then
      (if (i32.eq (i32.const -1)
        (memory.grow (i32.shr_u (i32.add (local.get $missing) (i32.const 65535)) (i32.const 16))))
        (then unreachable))))
    (local.get $at))
  (func $run (param $at i32) (param $size i32) (local $pc i32) (local $end i32)
    (local.set $pc (global.get $pc))
    (local.set $end (i32.add (local.get $at) (local.get $size)))
    (global.set $pc (local.get $at))
    (block $done (loop $next
      (br_if $done (i32.ge_u (global.get $pc) (local.get $end)))
      (global.set $pc (i32.add (global.get $pc) (i32.const 1)))
      (call_indirect (type $op) (i32.load8_u (i32.sub (global.get $pc) (i32.const 1))))
      (br $next)))
    (global.set $pc (local.get $pc)))
  ;; The script that follows a `repeat` or `when`: leaves its address and size, and steps over it.
  (func $body
    (global.set $size (i32.load (global.get $pc)))
    (global.set $at (i32.add (global.get $pc) (i32.const 4)))
    (global.set $pc (i32.add (global.get $at) (global.get $size))))
  ;; The address and size of a stored script, at `env`.
  (func $run_stored (param $env i32)
    (global.set $sp (i32.const 1024))
    (call $run (i32.load (local.get $env)) (i32.load offset=4 (local.get $env))))
  (func $callback (param $env i32) (call $run_stored (local.get $env)))
  (func $run_arg
    (global.set $sp (i32.const 1024))
    (call $arg) (call $pop_blob) (call $run (global.get $at) (global.get $size)))

  ;; Entry points

  (func (export "canister_init") (call $run_arg))
  (func (export "canister_post_upgrade") (call $run_arg))
  (func (export "canister_update run") (call $run_arg))
  (func (export "canister_query ask") (call $run_arg))
  (func (export "canister_composite_query gather") (call $run_arg))
  ;; The hooks run what `hook` stored, or nothing.
  (func $pre_upgrade (call $run_stored (i32.const 256)))
  (func $global_timer (call $run_stored (i32.const 264)))
  (func $heartbeat (call $run_stored (i32.const 272)))
  (func $inspect_message (call $run_stored (i32.const 280)))
  (func $on_low_wasm_memory (call $run_stored (i32.const 288)))
  (export "canister_pre_upgrade" (func $pre_upgrade))
  (export "canister_global_timer" (func $global_timer))
  (export "canister_on_low_wasm_memory" (func $on_low_wasm_memory))
  ;; These two change how every message to the canister is treated: only modules that a test asks for have
  ;; them.
  ;;? (export "canister_heartbeat" (func $heartbeat))
  ;;? (export "canister_inspect_message" (func $inspect_message))

  ;; Values and control

  (func $int
    (call $push (i64.load (global.get $pc))) (global.set $pc (i32.add (global.get $pc) (i32.const 8))))
  (func $blob (call $body) (call $push_blob (global.get $at) (global.get $size)))
  (func $zeros (local $n i32)
    (local.set $n (call $pop32)) (call $push_blob (call $alloc (local.get $n)) (local.get $n)))
  (func $drop (drop (call $pop)))
  (func $add (call $push (i64.add (call $pop) (call $pop))))
  (func $not (call $push (i64.extend_i32_u (i64.eqz (call $pop)))))
  ;; The first eight bytes of a blob as a number.
  (func $load (call $pop_blob) (call $push (i64.load (global.get $at))))
  (func $length (call $pop_blob) (call $push32 (global.get $size)))
  ;; Whether two blobs are equal.
  (func $same (local $a i32) (local $n i32)
    (call $pop_blob)
    (local.set $a (global.get $at)) (local.set $n (global.get $size))
    (call $pop_blob)
    (if (i32.ne (local.get $n) (global.get $size)) (then (call $push (i64.const 0)) return))
    (block $differ
      (loop $next
        (if (local.get $n) (then
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br_if $differ (i32.ne
            (i32.load8_u (i32.add (local.get $a) (local.get $n)))
            (i32.load8_u (i32.add (global.get $at) (local.get $n)))))
          (br $next))))
      (call $push (i64.const 1))
      return)
    (call $push (i64.const 0)))
  (func $slot (result i32)
    (i32.add (i32.const 64) (i32.shl (i32.and (call $pop32) (i32.const 15)) (i32.const 3))))
  (func $get (call $push (i64.load (call $slot))))
  (func $set (i64.store (call $slot) (call $pop)))
  (func $repeat (local $n i64) (local $at i32) (local $size i32)
    (local.set $n (call $pop))
    (call $body)
    (local.set $at (global.get $at)) (local.set $size (global.get $size))
    (block $done (loop $next
      (br_if $done (i64.eqz (local.get $n)))
      (local.set $n (i64.sub (local.get $n) (i64.const 1)))
      (call $run (local.get $at) (local.get $size))
      (br $next))))
  (func $when (local $yes i32)
    (local.set $yes (i64.ne (call $pop) (i64.const 0)))
    (call $body)
    (if (local.get $yes) (then (call $run (global.get $at) (global.get $size)))))
  ;; Runs a blob as a script.
  (func $eval (call $pop_blob) (call $run (global.get $at) (global.get $size)))

  ;; The message

  (func $append (call $pop_blob) (call $ic_append (global.get $at) (global.get $size)))
  (func $append_int (i64.store (i32.const 16) (call $pop)) (call $ic_append (i32.const 16) (i32.const 8)))
  (func $reply (call $ic_reply))
  (func $reject (call $pop_blob) (call $ic_reject (global.get $at) (global.get $size)))
  (func $arg (local $n i32) (local $at i32)
    (local.set $n (call $ic_arg_size)) (local.set $at (call $alloc (local.get $n)))
    (call $ic_arg_copy (local.get $at) (i32.const 0) (local.get $n))
    (call $push_blob (local.get $at) (local.get $n)))
  (func $caller (local $n i32) (local $at i32)
    (local.set $n (call $ic_caller_size)) (local.set $at (call $alloc (local.get $n)))
    (call $ic_caller_copy (local.get $at) (i32.const 0) (local.get $n))
    (call $push_blob (local.get $at) (local.get $n)))
  (func $reject_code (call $push32 (call $ic_reject_code)))
  (func $reject_msg (local $n i32) (local $at i32)
    (local.set $n (call $ic_reject_msg_size)) (local.set $at (call $alloc (local.get $n)))
    (call $ic_reject_msg_copy (local.get $at) (i32.const 0) (local.get $n))
    (call $push_blob (local.get $at) (local.get $n)))
  (func $deadline (call $push (call $ic_deadline)))

  ;; Cycles

  (func $available (call $ic_available (i32.const 0)) (call $push_cycles))
  (func $refunded (call $ic_refunded (i32.const 0)) (call $push_cycles))
  (func $accept (call $ic_accept (i64.const 0) (call $pop) (i32.const 0)) (call $push_cycles))
  (func $burn (call $ic_burn (i64.const 0) (call $pop) (i32.const 0)) (call $push_cycles))
  (func $balance (call $ic_balance (i32.const 0)) (call $push_cycles))
  (func $liquid (call $ic_liquid (i32.const 0)) (call $push_cycles))

  ;; The canister

  (func $self (local $n i32) (local $at i32)
    (local.set $n (call $ic_self_size)) (local.set $at (call $alloc (local.get $n)))
    (call $ic_self_copy (local.get $at) (i32.const 0) (local.get $n))
    (call $push_blob (local.get $at) (local.get $n)))
  (func $subnet (local $n i32) (local $at i32)
    (local.set $n (call $ic_subnet_size)) (local.set $at (call $alloc (local.get $n)))
    (call $ic_subnet_copy (local.get $at) (i32.const 0) (local.get $n))
    (call $push_blob (local.get $at) (local.get $n)))
  (func $status (call $push32 (call $ic_status)))
  (func $version (call $push (call $ic_version)))
  (func $time (call $push (call $ic_time)))
  (func $timer (call $push (call $ic_timer (call $pop))))
  (func $counter (call $push (call $ic_counter (call $pop32))))
  (func $is_controller
    (call $pop_blob) (call $push32 (call $ic_is_controller (global.get $at) (global.get $size))))
  (func $replicated (call $push32 (call $ic_replicated)))

  ;; Calls: `call_new` takes the callee, the method, and the scripts for reply and reject

  (func $store_script (result i32) (local $env i32)
    (call $pop_blob)
    (local.set $env (call $alloc (i32.const 8)))
    (i32.store (local.get $env) (global.get $at))
    (i32.store offset=4 (local.get $env) (global.get $size))
    (local.get $env))
  (func $call_new (local $reply i32) (local $reject i32) (local $name i32) (local $name_size i32)
    (local.set $reject (call $store_script))
    (local.set $reply (call $store_script))
    (call $pop_blob)
    (local.set $name (global.get $at)) (local.set $name_size (global.get $size))
    (call $pop_blob)
    (call $ic_call_new (global.get $at) (global.get $size) (local.get $name) (local.get $name_size)
      (i32.const 0) (local.get $reply) (i32.const 0) (local.get $reject)))
  (func $call_append (call $pop_blob) (call $ic_call_append (global.get $at) (global.get $size)))
  (func $call_cycles (call $ic_call_cycles (i64.const 0) (call $pop)))
  (func $call_best_effort (call $ic_call_best_effort (call $pop32)))
  (func $call_on_cleanup (call $ic_call_on_cleanup (i32.const 0) (call $store_script)))
  (func $call_perform (call $push32 (call $ic_call_perform)))

  ;; Stable memory

  (func $stable_size (call $push (call $ic_stable_size)))
  (func $stable_grow (call $push (call $ic_stable_grow (call $pop))))
  ;; Takes the offset and the size, leaves a blob.
  (func $stable_read (local $n i32) (local $at i32)
    (local.set $n (call $pop32)) (local.set $at (call $alloc (local.get $n)))
    (call $ic_stable_read (i64.extend_i32_u (local.get $at)) (call $pop) (i64.extend_i32_u (local.get $n)))
    (call $push_blob (local.get $at) (local.get $n)))
  ;; Takes the offset and a blob.
  (func $stable_write
    (call $pop_blob)
    (call $ic_stable_write
      (call $pop) (i64.extend_i32_u (global.get $at)) (i64.extend_i32_u (global.get $size))))

  ;; The rest

  (func $certify (call $pop_blob) (call $ic_certify (global.get $at) (global.get $size)))
  (func $certificate_present (call $push32 (call $ic_certificate_present)))
  ;; Takes the size of the method's name and of the argument.
  (func $cost_call (local $payload i64)
    (local.set $payload (call $pop))
    (call $ic_cost_call (call $pop) (local.get $payload) (i32.const 0)) (call $push_cycles))
  (func $cost_create (call $ic_cost_create (i32.const 0)) (call $push_cycles))
  (func $print (call $pop_blob) (call $ic_print (global.get $at) (global.get $size)))
  (func $trap (call $pop_blob) (call $ic_trap (global.get $at) (global.get $size)))
  (func $unreachable unreachable)
  (func $spin (local $n i64)
    (local.set $n (call $pop))
    (block $done (loop $next
      (br_if $done (i64.eqz (local.get $n)))
      (local.set $n (i64.sub (local.get $n) (i64.const 1)))
      (br $next))))
  ;; Leaves the previous number of pages, or 2^32 - 1.
  (func $grow_heap (call $push32 (memory.grow (call $pop32))))
  (func $overflow_stack (call $overflow_stack) (global.set $at (i32.add (global.get $at) (i32.const 1))))
  ;; Takes the number of the hook and its script.
  (func $hook (local $env i32)
    (call $pop_blob)
    (local.set $env (i32.add (i32.const 256) (i32.shl (i32.and (call $pop32) (i32.const 7)) (i32.const 3))))
    (i32.store (local.get $env) (global.get $at))
    (i32.store offset=4 (local.get $env) (global.get $size)))
  (func $method_name (local $n i32) (local $at i32)
    (local.set $n (call $ic_method_name_size)) (local.set $at (call $alloc (local.get $n)))
    (call $ic_method_name_copy (local.get $at) (i32.const 0) (local.get $n))
    (call $push_blob (local.get $at) (local.get $n)))
  (func $accept_message (call $ic_accept_message)))
