import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import java.nio.file.Files;
import java.nio.file.Path;
import org.hl7.fhir.common.hapi.validation.support.*;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;

/** Validates files against FHIR R4 and the profiles that they name; one line for each error, "ok FILE" without. */
public class Validate {
  public static void main(String[] files) throws Exception {
    FhirContext context = FhirContext.forR4();
    NpmPackageValidationSupport balp = new NpmPackageValidationSupport(context);
    balp.loadPackageFromClasspath("classpath:ihe.iti.balp-1.1.4.tgz");
    ValidationSupportChain support = new ValidationSupportChain(
      new DefaultProfileValidationSupport(context), new CommonCodeSystemsTerminologyService(context),
      new InMemoryTerminologyServerValidationSupport(context), new SnapshotGeneratingValidationSupport(context), balp);
    FhirValidator validator = context.newValidator();
    validator.registerValidatorModule(new FhirInstanceValidator(support));
    for (String file : files) {
      var messages = validator.validateWithResult(Files.readString(Path.of(file))).getMessages();
      var errors = messages.stream().filter(message -> message.getSeverity().compareTo(ResultSeverityEnum.ERROR) >= 0);
      String text = String.join("; ", errors.map(m -> m.getLocationString() + ": " + m.getMessage()).toList());
      System.out.println(text.isEmpty() ? "ok " + file : "invalid " + file + ": " + text.replace('\n', ' '));
    }
  }
}
