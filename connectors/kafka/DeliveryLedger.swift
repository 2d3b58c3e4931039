import Envelope

/// Which events have been acknowledged, as one place: behind the last transaction of which, and of all before it, every
/// event is in Kafka. Acknowledgements come in any order, because partitions do not wait for each other.
///
/// One count per transaction, none per event.
struct DeliveryLedger {
    private struct Stretch {
        /// Where it ends; nil while it is open.
        var boundary: EncodedBoundary?
        var outstanding = 0
        var hasEvents = false
    }

    /// The stretches that are not behind us, from `head` on; the last one is open.
    private var stretches = [Stretch()]
    private var head = 0
    /// Number of `stretches[0]`.
    private var base = 0
    private var outstanding = 0
    /// Everything before has been acknowledged, or was not for us.
    private(set) var durable: EncodedBoundary?

    /// Whether nothing is waited for.
    var isDrained: Bool { outstanding == 0 }
    /// Whether events were sent since the last boundary.
    var isInsideTransaction: Bool { stretches[stretches.count - 1].hasEvents }

    /// An event of the open stretch goes out. Returns the stretch's number, to be given back with the acknowledgement.
    mutating func send() -> Int {
        stretches[stretches.count - 1].outstanding &+= 1
        stretches[stretches.count - 1].hasEvents = true
        outstanding &+= 1
        return base &+ stretches.count &- 1
    }

    /// Numbers that were never given out are ignored.
    mutating func acknowledge(_ number: Int) {
        let index = number &- base
        guard index >= head, index < stretches.count, stretches[index].outstanding > 0 else { return }
        stretches[index].outstanding &-= 1
        outstanding &-= 1
        if index == head { advance() }
    }

    /// Everything up to `boundary` has been sent, and nothing behind it.
    mutating func reach(_ boundary: EncodedBoundary) {
        let last = stretches.count - 1
        if stretches[last].hasEvents {
            stretches[last].boundary = boundary
            stretches.append(Stretch())
            advance()
        } else if last > head {
            // Nothing of it was for us: it is passed together with what is before.
            stretches[last - 1].boundary = boundary
        } else {
            durable = boundary
        }
    }

    private mutating func advance() {
        while head < stretches.count - 1, stretches[head].outstanding == 0 {
            durable = stretches[head].boundary
            head += 1
        }
        if head >= 1024, head * 2 >= stretches.count {
            stretches.removeFirst(head)
            base += head
            head = 0
        }
    }
}
