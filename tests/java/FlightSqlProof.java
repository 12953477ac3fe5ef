import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;

/** What a Java program that is given HOST:PORT and a token does to a linkd of `--open` through the Flight SQL JDBC driver: a line of output for each thing seen. */
public class FlightSqlProof {
    public static void main(String[] args) throws Exception {
        Properties properties = new Properties();
        properties.put("useEncryption", "false");
        properties.put("token", args[1]);
        try (Connection connection = DriverManager.getConnection("jdbc:arrow-flight-sql://" + args[0], properties)) {
            try (Statement statement = connection.createStatement()) {
                say("inserted", statement.executeUpdate("INSERT INTO seats VALUES ('UA', 30, 3.5), ('DL', 40, NULL)"));
                try (ResultSet rows = statement.executeQuery("SELECT carrier, price, score FROM seats ORDER BY price")) {
                    while (rows.next()) {
                        say("row", rows.getString(1) + " " + rows.getLong(2) + " " + rows.getObject(3));
                    }
                }
                try {
                    statement.executeQuery("SELECT fare FROM seats");
                } catch (SQLException error) {
                    say("refused", error.getMessage().replace("\n", " / "));
                }
            }
            try (PreparedStatement query = connection.prepareStatement("SELECT count(*) FROM seats WHERE price > ?")) {
                query.setLong(1, 25);
                try (ResultSet rows = query.executeQuery()) {
                    rows.next();
                    say("counted", rows.getLong(1));
                }
            }
            try (PreparedStatement insert = connection.prepareStatement("INSERT INTO seats VALUES (?, ?, ?)")) {
                for (int number = 0; number < 3; number++) {
                    insert.setString(1, "B" + number);
                    insert.setLong(2, number);
                    insert.setDouble(3, 0.5);
                    insert.addBatch();
                }
                long sum = 0;
                for (long rows : insert.executeLargeBatch()) {
                    sum += rows;
                }
                say("batched", sum);
            }
            tell(connection.getMetaData());
        }
    }

    private static void tell(DatabaseMetaData metadata) throws SQLException {
        say("product", metadata.getDatabaseProductName());
        say("transactions", metadata.supportsTransactions());
        try (ResultSet tables = metadata.getTables(null, null, "sea%", new String[] {"TABLE"})) {
            while (tables.next()) {
                say("table", tables.getString("TABLE_CAT") + "." + tables.getString("TABLE_SCHEM") + "." + tables.getString("TABLE_NAME"));
            }
        }
        try (ResultSet columns = metadata.getColumns(null, null, "seats", null)) {
            while (columns.next()) {
                say("column", columns.getString("COLUMN_NAME") + " " + columns.getString("TYPE_NAME"));
            }
        }
        try (ResultSet keys = metadata.getPrimaryKeys(null, null, "seats")) {
            say("keys", keys.next());
        }
    }

    private static void say(String what, Object value) {
        System.out.println(what + ": " + value);
    }
}
