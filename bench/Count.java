import io.debezium.engine.ChangeEvent;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.format.Json;
import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;

/** Debezium's embedded engine with a consumer that only counts. Arguments: properties, and how many events to wait for. */
public class Count {
    public static void main(String[] arguments) throws Exception {
        Properties properties = new Properties();
        properties.load(new StringReader(Files.readString(Path.of(arguments[0]))));
        long expected = Long.parseLong(arguments[1]);
        AtomicLong count = new AtomicLong();
        AtomicLong bytes = new AtomicLong();
        DebeziumEngine<ChangeEvent<String, String>> engine = DebeziumEngine.create(Json.class)
            .using(properties)
            .using((success, message, error) -> {
                System.out.println("failed " + message + " " + error);
                System.exit(1);
            })
            .notifying((events, committer) -> {
                for (ChangeEvent<String, String> event : events) {
                    if (event.value() != null) bytes.addAndGet(event.value().length());
                    committer.markProcessed(event);
                }
                committer.markBatchFinished();
                if (count.addAndGet(events.size()) >= expected) {
                    System.out.println("done " + count.get() + " " + bytes.get());
                    System.out.flush();
                }
            })
            .build();
        Executors.newSingleThreadExecutor().execute(engine);
        // Whoever measures looks at this process first, and closes its input then.
        while (System.in.read() >= 0) {
        }
        Runtime.getRuntime().halt(0);
    }
}
