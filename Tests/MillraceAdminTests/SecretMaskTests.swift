import MillraceAdmin
import MillraceCore
import Testing

@Suite struct SecretMaskTests {
    private let mask = SecretMask(NullSinkPlugin().definition)

    @Test(arguments: [
        ("connection.password", "s3", "********"),
        ("connection.password", "", ""),
        ("unknown.password", "s3", "********"),
        ("schema.registry.SECRET", "s3", "********"),
        ("connection.url", "postgresql://u:s3@h:5432/db", "postgresql://u:********@h:5432/db"),
        ("connection.url", "postgresql://u:s/3@h/db", "postgresql://u:********@h/db"),
        ("connection.url", "postgresql://u:a@b@h/db", "postgresql://u:********@h/db"),
        ("connection.url", "postgresql://u@h:5432/db", "postgresql://u@h:5432/db"),
        ("connection.url", "postgresql://h:5432/db", "postgresql://h:5432/db"),
        (
            "connection.url", "jdbc:postgresql://h/db?user=u&password=s3&ssl=true",
            "jdbc:postgresql://h/db?user=u&password=********&ssl=true"
        ),
        ("connection.url", "host=h password='s 3' user=u", "host=h password=******** user=u"),
        ("table.include.list", "public.password", "public.password"),
    ])
    func secretsAreShownAsMasks(name: String, value: String, shown: String) {
        #expect(mask.masked(name, value) == shown)
    }

    @Test func whatWasShownStandsForWhatIsStored() throws {
        let stored = [
            "connection.password": "s3", "connection.url": "postgresql://u:s3@h/db", "batch": "1",
        ]
        var posted = mask.masked(stored)
        #expect(posted["connection.password"] == "********")
        posted["batch"] = "2"
        let config = try mask.unmasked(posted, stored: stored)
        #expect(config["connection.password"] == "s3")
        #expect(config["connection.url"] == "postgresql://u:s3@h/db")
        #expect(config["batch"] == "2")
    }

    /// Otherwise the stored password could be sent to a host of somebody's choice.
    @Test func aMaskInAnotherURLIsRefused() {
        let stored = ["connection.url": "postgresql://u:s3@h/db"]
        #expect(throws: AdminError.self) {
            try mask.unmasked(["connection.url": "postgresql://u:********@other/db"], stored: stored)
        }
    }

    @Test func aMaskWithoutAStoredValueIsRefused() {
        let error = #expect(throws: AdminError.self) {
            try mask.unmasked(["connection.password": "********"], stored: [:])
        }
        #expect(error?.status == 400)
        #expect(error?.message.contains("connection.password") == true)
    }
}
