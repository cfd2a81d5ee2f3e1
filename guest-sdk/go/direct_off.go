//go:build !(direct && wasm)

package posixipc

// In place of the calls by number, see direct_on.go: nothing is done by them.
type number struct{}

const direct = false

func semaphoreNumber(int32) number { return number{} }
func segmentNumber(int32) number   { return number{} }
func queueNumber(int32) number     { return number{} }

func (number) release(int32) bool                            { return false }
func (number) tryAcquire(int32) bool                         { return false }
func (number) readInto(int32, uint64, []byte) (int, bool)    { return 0, false }
func (number) write(int32, uint64, []byte) bool              { return false }
func (number) send(int32, []byte, uint32) bool               { return false }
func (number) receiveInto(int32, []byte) (int, uint32, bool) { return 0, 0, false }
