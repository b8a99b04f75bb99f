//! Demangles the function names that generators of extension modules write.

/// The kinds of functions that Cython writes with a counter before their names (its `Nodes.py`): wrappers, bodies and
/// generators.
const COUNTED: [&str; 3] = ["pw_", "pf_", "gb_"];

/// Prefixes without a number: functions of C, and parts of types.
const UNCOUNTED: [&str; 5] = ["f_", "getprop_", "setprop_", "tp_new_", "tp_dealloc_"];

/// A symbol as its source calls it; any other as it is.
#[must_use]
pub fn readable(name: String) -> String {
    cython(&name).or_else(|| pyo3(&name)).or_else(|| pybind(&name)).unwrap_or(name)
}

/// `__pyx_pw_6uvloop_4loop_4Loop_62create_unix_server` → `uvloop.loop.Loop.create_unix_server`.
fn cython(name: &str) -> Option<String> {
    // One of several that were made of one source is numbered before all.
    let last = name.rfind("__pyx_")?;
    let is_fused = name.starts_with("__pyx_fuse_");
    let kind = name.get(last..)?.strip_prefix("__pyx_").filter(|_| last == 0 || is_fused)?;
    // What compilers add: `.cold`, `.isra.0`.
    let kind = kind.split('.').next()?;
    let find = |kinds: &[&str]| kinds.iter().find_map(|known| kind.strip_prefix(known));
    let (mut rest, is_counted) =
        find(&COUNTED).map(|rest| (rest, true)).or_else(|| Some((find(&UNCOUNTED)?, false)))?;
    let mut parts = Vec::new();
    while let Some((scope, inner)) = scope(rest) {
        // Behind the scopes there is a counter, or a name: a counter may look like the length of a scope.
        if is_counted && !inner.starts_with(|first: char| first.is_ascii_digit()) {
            break;
        }
        parts.push(scope);
        rest = inner;
    }
    let own = if is_counted { rest.trim_start_matches(|digit: char| digit.is_ascii_digit()) } else { rest };
    if parts.is_empty() || own.is_empty() {
        return None;
    }
    parts.push(own);
    Some(parts.join("."))
}

/// Splits `4loop_rest` into `loop` and `rest`.
fn scope(text: &str) -> Option<(&str, &str)> {
    let digits = text.find(|digit: char| !digit.is_ascii_digit())?;
    let length: usize = text.get(..digits)?.parse().ok()?;
    let end = digits.checked_add(length)?;
    let rest = text.get(end..)?.strip_prefix('_').filter(|rest| !rest.is_empty())?;
    Some((text.get(digits..end)?, rest))
}

/// `rpds::HashTrieMapPy::__pymethod_insert__` → `rpds::HashTrieMapPy::insert`.
fn pyo3(name: &str) -> Option<String> {
    let method = |name: &str| {
        let (scope, own) = name.split_once("__pymethod_")?;
        Some(format!("{scope}{}", own.strip_suffix("__")?))
    };
    let function = |name: &str| {
        let (scope, own) = name.split_once("__pyfunction_")?;
        Some(format!("{scope}{own}"))
    };
    let is_method = name.contains("::__pymethod_");
    if is_method { method(name) } else { function(name).filter(|_| name.contains("::__pyfunction_")) }
}

/// What pybind11 makes for a function: `pybind11::cpp_function::initialize<int (*&)(int), int, int, …>(…)::{lambda…}…` →
/// `pybind11::cpp_function<int (*&)(int)>`.
fn pybind(name: &str) -> Option<String> {
    const MADE: &str = "pybind11::cpp_function::initialize<";
    let arguments = name.get(name.find(MADE)? + MADE.len()..)?;
    let mut depth = 0_u32;
    let end = arguments.char_indices().find(|(_, character)| {
        match character {
            '<' | '(' | '{' | '[' => depth += 1,
            '>' | ')' | '}' | ']' if depth == 0 => return true,
            '>' | ')' | '}' | ']' => depth -= 1,
            _ => {}
        }
        *character == ',' && depth == 0
    });
    Some(format!("pybind11::cpp_function<{}>", &arguments[..end?.0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Symbols of uvloop, gevent, numpy and rpds, as `nm -C` has them, and what their sources call them.
    #[test]
    fn names_are_as_in_the_source() {
        for (symbol, source) in [
            ("__pyx_pw_6uvloop_4loop_4Loop_62create_unix_server", "uvloop.loop.Loop.create_unix_server"),
            (
                "__pyx_pw_6uvloop_4loop_23_SyncSocketWriterFuture_1__init__",
                "uvloop.loop._SyncSocketWriterFuture.__init__",
            ),
            ("__pyx_f_6uvloop_4loop___tcp_bind.isra.0", "uvloop.loop.__tcp_bind"),
            ("__pyx_gb_6uvloop_4loop_4Loop_60generator4.cold", "uvloop.loop.Loop.generator4"),
            (
                "__pyx_pw_6gevent_16_gevent_c_tracer_15MaxSwitchTracer_3_trace",
                "gevent._gevent_c_tracer.MaxSwitchTracer._trace",
            ),
            ("__pyx_pw_6gevent_14_gevent_cevent_5Event_5is_set", "gevent._gevent_cevent.Event.is_set"),
            (
                "__pyx_pw_5numpy_6random_10_generator_9Generator_3__repr__",
                "numpy.random._generator.Generator.__repr__",
            ),
            // The counter is as long as a part of the name is.
            ("__pyx_pw_3abc_3get_it", "abc.get_it"),
            (
                "__pyx_fuse_1__pyx_f_5numpy_6random_7_common_check_constraint",
                "numpy.random._common.check_constraint",
            ),
            ("__pyx_tp_dealloc_6gevent_16_gevent_c_waiter_Waiter", "gevent._gevent_c_waiter.Waiter"),
            ("rpds::HashTrieMapPy::__pymethod_insert__", "rpds::HashTrieMapPy::insert"),
            ("rpds::HashTrieMapPy::__pymethod___len____", "rpds::HashTrieMapPy::__len__"),
            (
                "pybind11::cpp_function::initialize<std::map<int, int> (*&)(int, int), int, pybind11::name>(int)::{lambda(pybind11::detail::function_call&)#1}::_FUN(pybind11::detail::function_call&)",
                "pybind11::cpp_function<std::map<int, int> (*&)(int, int)>",
            ),
        ] {
            assert_eq!(readable(symbol.to_owned()), source);
        }
    }

    #[test]
    fn any_other_name_stays() {
        for name in [
            "deflate",
            "__pyx_pymod_create",
            "__pyx_pw_",
            "__pyx_f_99999999999999999999_a",
            "pybind11::cpp_function::initialize<",
            "a::__pymethod_",
        ] {
            assert_eq!(readable(name.to_owned()), name);
        }
    }
}
