(module (func) (func (local i32)))
