import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.WindowStore;

/**
 * Completed orders by minute and category in Kafka Streams: exactly once, one thread, 24 hours of grace, so that nothing is dropped. Prints the
 * seconds from the first order that it sees to the last one counted, and then each cell: "category start count".
 *
 * The orders are keyed by their ids, so Streams sends them through a topic of its own to group them; they carry an empty value there. Only
 * the two fields that are needed are parsed.
 *
 * <p>Arguments: brokers, topic, application id, folder for state, number of completed orders.
 */
public final class CompletedPerMinute {
  private static final JsonFactory JSON = new JsonFactory();

  /** The category of a completed order, or null. */
  private static String completed(byte[] json) {
    try (JsonParser parser = JSON.createParser(json)) {
      String category = null;
      boolean isCompleted = false;
      parser.nextToken();
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String name = parser.currentName();
        parser.nextToken();
        if (name.equals("category")) category = parser.getText();
        else if (name.equals("status")) isCompleted = parser.getText().equals("completed");
      }
      return isCompleted ? category : null;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public static void main(String[] args) throws Exception {
    String topic = args[1];
    long expected = Long.parseLong(args[4]);
    AtomicLong first = new AtomicLong();
    AtomicLong last = new AtomicLong();
    AtomicLong counted = new AtomicLong();
    AtomicReference<Throwable> failure = new AtomicReference<>();
    CountDownLatch done = new CountDownLatch(1);

    Properties config = new Properties();
    config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
    config.put(StreamsConfig.APPLICATION_ID_CONFIG, args[2]);
    config.put(StreamsConfig.STATE_DIR_CONFIG, args[3]);
    config.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
    config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    config.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    config.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 64L << 20);
    // The orders are of their own day, whatever the broker's clock says.
    config.put(StreamsConfig.topicPrefix(TopicConfig.MESSAGE_TIMESTAMP_AFTER_MAX_MS_CONFIG), Long.MAX_VALUE);
    config.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");

    StreamsBuilder builder = new StreamsBuilder();
    builder.stream(topic, Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
        .map((id, json) -> {
          if (first.get() == 0) first.compareAndSet(0, System.nanoTime());
          return KeyValue.pair(completed(json), "");
        })
        .filter((category, nothing) -> category != null)
        .groupByKey(Grouped.with(Serdes.String(), Serdes.String()))
        .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofMinutes(1), Duration.ofHours(24)))
        .aggregate(
            () -> 0L,
            (category, nothing, count) -> {
              if (counted.incrementAndGet() == expected) {
                last.set(System.nanoTime());
                done.countDown();
              }
              return count + 1;
            },
            Materialized.<String, Long, WindowStore<Bytes, byte[]>>as("counts")
                .withKeySerde(Serdes.String())
                .withValueSerde(Serdes.Long()));

    try (KafkaStreams streams = new KafkaStreams(builder.build(), config)) {
      streams.setUncaughtExceptionHandler(e -> {
        failure.set(e);
        done.countDown();
        return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
      });
      streams.start();
      if (!done.await(15, TimeUnit.MINUTES))
        throw new IllegalStateException(counted.get() + " of " + expected + " orders after 15 minutes");
      if (failure.get() != null) throw new IllegalStateException(failure.get());
      PrintStream out = new PrintStream(System.out, false);
      out.println((last.get() - first.get()) / 1e9);
      var store = streams.store(
          StoreQueryParameters.fromNameAndType("counts", QueryableStoreTypes.<String, Long>windowStore()));
      try (KeyValueIterator<Windowed<String>, Long> cells = store.all()) {
        while (cells.hasNext()) {
          KeyValue<Windowed<String>, Long> cell = cells.next();
          out.println(cell.key.key() + " " + cell.key.window().start() + " " + cell.value);
        }
      }
      out.flush();
    }
  }
}
