(module $early (tag (export "")) (func $throw (throw 0)) (start $throw))
